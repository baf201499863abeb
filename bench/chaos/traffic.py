"""Callers that repeat each call until it is acknowledged, and keep the account of what was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import TYPE_CHECKING, Self, TypeVar

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from bench.chaos.book import Book, Said
from bench.chaos.requests import TYPES, Words
from bench.chaos.servers import Server
from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import Reaction
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternRequest,
    CapturePatternResponse,
    EnhanceInsightRequest,
    EnhanceInsightResponse,
    EnhanceInsightsRequest,
    GetNetworkMetricsRequest,
    GetPatternRequest,
    ListPatternsRequest,
    ReportOutcomeRequest,
    ReportReactionRequest,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub

if TYPE_CHECKING:  # types of the stub files only
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

AnswerT = TypeVar("AnswerT")

AGAIN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
"""What a fault may end a call with: it is made again."""

DEADLINE = 10.0
SHORT = 0.15
"""Seconds after which an impatient caller gives up, often while its call is written."""
IMPATIENT = 0.05
STALEST = 2.0
"""Seconds after which a pattern that was shown is shown by everyone: twice what a standby may lag (KEEPER_REPLICA_MAX_LAG)."""
PERSISTENCE = 180.0
"""Seconds after which a call that is never acknowledged is a violation."""


class Traffic:
    """Runs the callers until they are told to stop. Each call goes to a server drawn at random."""

    def __init__(self, servers: Sequence[Server], seed: int, callers: int, pause: float) -> None:
        self.book = Book()
        self._servers = servers
        self._seed = seed
        self._callers = callers
        self._pause = pause
        self._going_on = True
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        channels = [
            await self._stack.enter_async_context(server.channel()) for server in self._servers
        ]
        stubs: list[NetworkLearningServiceAsyncStub] = [
            NetworkLearningServiceStub(channel) for channel in channels
        ]
        for number in range(self._callers):
            caller = _Caller(stubs, self.book, Random(f"{self._seed} caller {number}"))  # noqa: S311 - a seed has to give the same again
            self._tasks.append(asyncio.create_task(self._call(caller)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def stop(self) -> None:
        """Begin no more, and wait until all that was begun is acknowledged. Raises what a caller failed with."""
        self._going_on = False
        await asyncio.gather(*self._tasks)

    def check(self) -> None:
        """Raise what a caller failed with."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def _call(self, caller: _Caller) -> None:
        while self._going_on:
            await caller.one()
            await asyncio.sleep(self._pause)


class _Unfinished(Exception):
    """Some questions of a stream are still to be answered."""


class _Caller:
    def __init__(
        self, stubs: Sequence[NetworkLearningServiceAsyncStub], book: Book, random: Random
    ) -> None:
        self._stubs = stubs
        self._book = book
        self._random = random
        self._words = Words(random)

    async def one(self) -> None:
        """Do one of the things that callers do."""
        doing = self._random.choices(
            (self._capture, self._ask, self._ask_many, self._read), weights=(60, 30, 10, 10)
        )
        await doing[0]()

    async def _capture(self) -> None:
        final = self._words.happens(0.8)
        request = self._words.capture(final=final)
        if self._words.happens(0.1):
            # A client that repeats a call too early: both are under way at once.
            first, _ = await asyncio.gather(self._told(request), self._told(request))
        else:
            first = await self._told(request)
        if first is None:
            return
        self._book.outcomes[request.request_id] = Said(request.outcome.success)
        if self._words.happens(0.1):
            await self._repeat(request, first)
        if not final and self._words.happens(0.7):
            await self._report(
                ReportOutcomeRequest(
                    account_id=request.account_id, capture_request_id=request.request_id
                ),
                self._words.outcome(),
                request.request_id,
            )

    async def _told(self, request: CapturePatternRequest) -> CapturePatternResponse | None:
        return await self._persist(
            "CapturePattern", lambda stub, left: stub.CapturePattern(request, timeout=left)
        )

    async def _repeat(self, request: CapturePatternRequest, first: CapturePatternResponse) -> None:
        """A retry is answered as the first call was; another body is refused."""
        again = await self._told(request)
        if again is None:
            return
        self._book.replays += 1
        same = not first.pattern_id or again.pattern_id in ("", first.pattern_id)
        if not again.replayed or not same:
            self._book.violations.append(f"another answer to a retry of {request.request_id}")
        other = CapturePatternRequest()
        other.CopyFrom(request)
        other.outcome.success = not request.outcome.success
        await self._persist(
            "CapturePattern, id used again",
            lambda stub, left: stub.CapturePattern(other, timeout=left),
            refused=grpc.StatusCode.ALREADY_EXISTS,
        )

    async def _ask(self) -> None:
        request = self._words.question()
        answer = await self._persist(
            "EnhanceInsight", lambda stub, left: stub.EnhanceInsight(request, timeout=left)
        )
        if answer is not None:
            await self._answered(request, answer)

    async def _ask_many(self) -> None:
        requests = {str(n): self._words.question() for n in range(self._random.randrange(2, 12))}
        answers: dict[str, EnhanceInsightResponse] = {}

        async def ask(stub: NetworkLearningServiceAsyncStub, left: float) -> bool:
            waiting = [
                EnhanceInsightsRequest(correlation_id=name, request=request)
                for name, request in requests.items()
                if name not in answers
            ]
            try:
                async for told in stub.EnhanceInsights(iter(waiting), timeout=left):
                    if told.HasField("response"):
                        if told.correlation_id in answers:
                            self._book.violations.append(
                                "a question of a stream was answered twice"
                            )
                        answers[told.correlation_id] = told.response
                    elif told.error.code not in {code.value[0] for code in AGAIN}:
                        self._book.violations.append(f"a question of a stream: {told.error}")
            except asyncio.CancelledError:
                # What grpc raises too, where a stream ends while a question is written.
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
            if len(answers) < len(requests):
                raise _Unfinished
            return True

        await self._persist("EnhanceInsights", ask)
        for name, answer in answers.items():
            await self._answered(requests[name], answer)

    async def _answered(
        self, request: EnhanceInsightRequest, answer: EnhanceInsightResponse
    ) -> None:
        """Take note of an answer, and now and then act on it."""
        self._book.questions.add(answer.enhancement_id)
        if answer.enhanced_insight.network_enhanced and self._words.happens(0.3):
            reaction = ReportReactionRequest(
                request_id=self._words.request_id(),
                account_id=request.account_id,
                enhancement_id=answer.enhancement_id,
                reaction=self._random.choice((Reaction.REACTION_SHOWN, Reaction.REACTION_ACCEPTED)),
            )
            told = await self._persist(
                "ReportReaction", lambda stub, left: stub.ReportReaction(reaction, timeout=left)
            )
            if told is not None:
                self._book.reactions.add(reaction.request_id)
        if self._words.happens(0.4):
            source = ReportOutcomeRequest(
                account_id=request.account_id, enhancement_id=answer.enhancement_id
            )
            final = self._words.happens(0.7)
            first = await self._report(source, self._words.outcome(final=final))
            if first and not final:
                await self._report(source, self._words.outcome(), first)

    async def _read(self) -> None:
        """Look at patterns. What any server has shown is there on all of them soon after, whichever database they read."""
        page = await self._persist(
            "ListPatterns",
            lambda stub, left: stub.ListPatterns(
                ListPatternsRequest(pattern_type=self._random.choice(TYPES), page_size=20),
                timeout=left,
            ),
        )
        now = time.monotonic()
        for pattern in page.patterns if page is not None else ():
            self._book.shown.setdefault(pattern.pattern_id, now)
        old = [each for each, since in self._book.shown.items() if now - since > STALEST]
        if old:
            request = GetPatternRequest(pattern_id=self._random.choice(old))
            await self._persist(
                "GetPattern", lambda stub, left: stub.GetPattern(request, timeout=left)
            )
        if self._words.happens(0.2):
            await self._persist(
                "GetNetworkMetrics",
                lambda stub, left: stub.GetNetworkMetrics(GetNetworkMetricsRequest(), timeout=left),
            )

    async def _report(
        self, source: ReportOutcomeRequest, outcome: Outcome, revises: str = ""
    ) -> str | None:
        """Report an outcome, the first or one that replaces another: its request id."""
        request = ReportOutcomeRequest(request_id=self._words.request_id(), outcome=outcome)
        request.MergeFrom(source)
        told = await self._persist(
            "ReportOutcome", lambda stub, left: stub.ReportOutcome(request, timeout=left)
        )
        if told is None:
            return None
        self._book.outcomes[request.request_id] = Said(request.outcome.success, revises)
        return request.request_id

    async def _persist(
        self,
        name: str,
        call: Callable[[NetworkLearningServiceAsyncStub, float], Awaitable[AnswerT]],
        refused: grpc.StatusCode | None = None,
    ) -> AnswerT | None:
        """Make a call until it is answered, by any server; or until it is refused as it must be."""
        end = time.monotonic() + PERSISTENCE
        while time.monotonic() < end:
            impatient = self._words.happens(IMPATIENT)
            try:
                answer = await call(
                    self._random.choice(self._stubs), SHORT if impatient else DEADLINE
                )
            except grpc.aio.AioRpcError as error:
                if error.code() is refused:
                    self._book.calls[name] += 1
                    return None
                if error.code() not in AGAIN:
                    self._book.violations.append(f"{name}: {error.code().name} {error.details()}")
                    return None
                self._book.refusals[f"{name}: {error.code().name}"] += 1
                await asyncio.sleep(_delay(error) or self._random.uniform(0.05, 0.3))
            except _Unfinished:
                self._book.refusals[f"{name}: part of it"] += 1
                await asyncio.sleep(0.2)
            else:
                self._book.calls[name] += 1
                if refused is not None:
                    self._book.violations.append(f"{name}: answered")
                return answer
        self._book.violations.append(f"{name}: not acknowledged within {PERSISTENCE:g} s")
        return None


def _delay(error: grpc.aio.AioRpcError) -> float:
    """Seconds after which the caller is asked to try again; 0 when it is not."""
    status, info = Status(), RetryInfo()
    status.ParseFromString(
        dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    )
    for detail in status.details:
        if detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    return 0.0
