"""A tournament: enhances many insights over one stream, and ranks them by expected value."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import grpc

from keeper_grpc.client.basis import basis_in_words
from keeper_grpc.client.errors import KeeperClientError, from_call, from_status, stream_ended
from keeper_grpc.client.retries import Retries, may_retry
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Insight
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightRequest,
    EnhanceInsightResponse,
    EnhanceInsightsRequest,
    EnhanceInsightsResponse,
)

if TYPE_CHECKING:
    Stream: TypeAlias = grpc.aio.StreamStreamCall[EnhanceInsightsRequest, EnhanceInsightsResponse]

TOURNAMENT_TIMEOUT = 60.0
"""Seconds for a tournament of any size: one process embeds hundreds of new insights a second, so thousands
fit."""

WINDOW = 64
"""Most questions in flight: twice what a server works on concurrently, so that it never waits. Thousands
written at once would fill gRPC's buffers and block the caller's event loop."""

OpenStream: TypeAlias = "Callable[[AsyncIterator[EnhanceInsightsRequest], float], Stream]"
"""Opens a stream for these questions, with a deadline in seconds."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """An insight of the caller, the network's response, and its expected value.

    `score` is the enhanced confidence times the insight's potential value, in the account's currency.
    """

    insight: Insight
    response: EnhanceInsightResponse
    score: float

    @property
    def basis(self) -> str:
        """What the expected success rate was made of, in words; empty where nothing was applied."""
        return basis_in_words(self.response.enhanced_insight.basis)


@dataclass(frozen=True, slots=True)
class Failed:
    """An insight that could not be enhanced, and the error."""

    insight: Insight
    error: KeeperClientError


@dataclass(frozen=True, slots=True)
class Tournament:
    """`ranked` is best first; ties go to the higher confidence, then to the earlier insight."""

    ranked: Sequence[Ranked]
    failed: Sequence[Failed]


async def play(
    requests: Sequence[EnhanceInsightRequest],
    open_stream: OpenStream,
    retries: Retries,
    timeout: float,  # noqa: ASYNC109 - the deadline travels to the server
) -> Tournament:
    """Enhance all over one stream, or over several when one breaks, and rank the answers.

    Unanswered questions and errors that may pass are asked again, until the attempts are used up or `timeout`
    seconds are over. Raises KeeperClientError when no question got an answer or an error of its own.

    `retried` does not fit here: an attempt may succeed in part, and its stream may end well although some of
    its answers are errors that may pass.
    """
    answers = Answers(requests)
    deadline = asyncio.get_running_loop().time() + timeout
    failures = 0
    while True:
        left = deadline - asyncio.get_running_loop().time()
        window = asyncio.Semaphore(WINDOW)
        questions = _paced(answers.open_questions(), window)
        broken = await _collect(answers, open_stream(questions, left), window)
        failures += 1
        error = broken or answers.first_retriable_error()
        if error is None:
            return answers.tournament()
        delay = retries.delay(failures, error)
        over = failures >= retries.attempts or asyncio.get_running_loop().time() + delay > deadline
        if over or not may_retry(error):
            if broken:
                answers.give_up(broken)
            return answers.tournament()
        await asyncio.sleep(delay)


async def _paced(
    questions: Sequence[EnhanceInsightsRequest], window: asyncio.Semaphore
) -> AsyncIterator[EnhanceInsightsRequest]:
    """The questions, as the window allows."""
    for question in questions:
        await window.acquire()
        yield question


async def _collect(
    answers: Answers, stream: Stream, window: asyncio.Semaphore
) -> KeeperClientError | None:
    """Read answers until the stream ends; the error that broke it, or None."""
    try:
        async for message in stream:
            window.release()
            answers.take(message)
    except grpc.aio.AioRpcError as error:
        return from_call(error)
    finally:
        stream.cancel()
    return answers.ended()


class Answers:
    """The answer or error of each request so far, by its place in the caller's list."""

    def __init__(self, requests: Sequence[EnhanceInsightRequest]) -> None:
        self._requests = requests
        self._answered: dict[int, EnhanceInsightResponse] = {}
        self._errors: dict[int, KeeperClientError] = {}

    def open_questions(self) -> list[EnhanceInsightsRequest]:
        """The requests without an answer or with an error that may pass."""
        return [
            EnhanceInsightsRequest(correlation_id=str(place), request=self._requests[place])
            for place in self._open()
        ]

    def take(self, message: EnhanceInsightsResponse) -> None:
        """Keep an answer."""
        place = int(message.correlation_id)
        if message.HasField("error"):
            self._errors[place] = from_status(message.error)
        else:
            self._errors.pop(place, None)
            self._answered[place] = message.response

    def ended(self) -> KeeperClientError | None:
        """The error of a stream that ended well, where some requests have no answer."""
        return stream_ended() if self._unanswered() else None

    def first_retriable_error(self) -> KeeperClientError | None:
        """An error of a single answer that may pass; None when there is none."""
        return next((error for error in self._errors.values() if may_retry(error)), None)

    def give_up(self, error: KeeperClientError) -> None:
        """Give the stream's error to all requests that it left open; raise it when nothing was answered."""
        if not self._answered and not self._errors:
            raise error
        for place in self._open():
            self._errors.setdefault(place, error)

    def tournament(self) -> Tournament:
        """The result, ranked."""
        ranked = [
            Ranked(insight, response, confidence * insight.potential_value)
            for place, response in sorted(self._answered.items())
            for insight in [self._requests[place].insight]
            for confidence in [response.enhanced_insight.confidence]
        ]
        ranked.sort(
            key=lambda each: (each.score, each.response.enhanced_insight.confidence), reverse=True
        )
        failed = [
            Failed(self._requests[place].insight, error)
            for place, error in sorted(self._errors.items())
        ]
        return Tournament(ranked, failed)

    def _unanswered(self) -> list[int]:
        answered = self._answered.keys() | self._errors.keys()
        return [place for place in range(len(self._requests)) if place not in answered]

    def _open(self) -> list[int]:
        passing = [place for place, error in self._errors.items() if may_retry(error)]
        return sorted([*self._unanswered(), *passing])
