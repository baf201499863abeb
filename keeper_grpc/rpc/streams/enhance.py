"""EnhanceInsights: many questions over one stream, answered in order of completion."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TypeAlias

import grpc
import structlog

from keeper_grpc.admission.gate import Gate
from keeper_grpc.admission.kinds import lanes
from keeper_grpc.domain.advice.enhancement import Enhancement
from keeper_grpc.domain.errors import KeeperError, ShuttingDown
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightsRequest,
    EnhanceInsightsResponse,
)
from keeper_grpc.rpc import status
from keeper_grpc.rpc.convert import insights
from keeper_grpc.rpc.defects import report_defect
from keeper_grpc.rpc.interceptors.admission import ONE_QUESTION
from keeper_grpc.rpc.interceptors.unreadable import Unreadable
from keeper_grpc.rpc.rules import Rules
from keeper_grpc.rpc.status import RequestInvalid
from keeper_grpc.rpc.streams.in_turn import in_turn
from keeper_grpc.spans import Spans, mark_end
from keeper_grpc.usecases.advice.enhance import Question

log = structlog.get_logger()

Answered: TypeAlias = Callable[[str, float], None]
"""Receives each question's status code by name, and its duration in seconds."""

Read: TypeAlias = EnhanceInsightsRequest | Unreadable
"""What a stream reads: one question, or bytes that are none."""

Send: TypeAlias = Callable[[EnhanceInsightsResponse], Awaitable[None]]


class EnhanceStream:
    """Serves every EnhanceInsights stream of a process.

    A stream holds at most `in_flight` questions, each from its reading until its answer is sent.
    Beyond that the server does not read, so HTTP/2's flow control stops a caller that asks too fast
    or reads too slowly, and no queue grows. Each question has `max_duration` seconds. `admit` raises unless
    the caller may ask about the account of a question.

    Each question takes a turn at the `gate`, as a call does; while one waits for it, its stream reads no further. So
    what waits is one question a stream, and the streams take turns, however many questions each has sent.
    """

    def __init__(
        self,
        *,
        enhance: Callable[[Question], Awaitable[Enhancement]],
        in_flight: int,
        max_duration: float,
        admit: Callable[[str], Awaitable[None]],
        on_answer: Answered = lambda code, seconds: None,  # noqa: ARG005 - the default ignores it
        spans: Spans | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._gate = gate or Gate(lanes())
        self._enhance = enhance
        self._in_flight = in_flight
        self._admit = admit
        self._max_duration = max_duration
        self._on_answer = on_answer
        self._spans = spans or Spans()
        self._rules = Rules(warm_up=[EnhanceInsightsRequest()])
        self._readers: set[asyncio.Task[None]] = set()
        self._draining = False

    def drain(self) -> None:
        """Stop reading questions; those that were read are answered."""
        self._draining = True
        for reader in self._readers:
            reader.cancel()

    async def serve(self, questions: AsyncIterable[Read], send: Send) -> None:
        """Answer until the caller has no more questions and all are answered.

        A question that fails is answered with its error. Raises ShuttingDown when the process
        drains; questions without an answer may then be asked again elsewhere.
        """
        if self._draining:
            raise ShuttingDown("the server is shutting down; ask another one")
        stream = _Stream(self._measured, send, self._in_flight)
        # The task group ends its tasks before it propagates a cancellation or an error.
        try:
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(stream.read(questions, group))
                self._readers.add(reader)
                reader.add_done_callback(self._readers.discard)
        except BaseExceptionGroup as failures:
            if failures.subgroup(grpc.aio.InternalError) is None:
                raise
            # Reading or sending failed: the caller has disconnected; gRPC has not cancelled this handler yet.
            raise asyncio.CancelledError from failures
        finally:
            log.info("questions_answered", answered=stream.answered, failed=stream.failed)
        if reader.cancelled():
            raise ShuttingDown("the server is shutting down; ask again what was not answered")

    async def _measured(self, question: Read, begun: asyncio.Event) -> EnhanceInsightsResponse:
        """Answer a question and report its code; metrics count a question as they count a call."""
        start = time.perf_counter()
        with self._spans.step("EnhanceInsights question"):
            response = await self._answer(question, begun)
            code = status.code_of(response.error).name
            mark_end(code)
        self._on_answer(code, time.perf_counter() - start)
        return response

    async def _answer(self, question: Read, begun: asyncio.Event) -> EnhanceInsightsResponse:
        if isinstance(question, Unreadable):
            # Its correlation id is as unreadable as the rest.
            refused = RequestInvalid([question.violation])
            return EnhanceInsightsResponse(error=status.to_status(refused))
        response = EnhanceInsightsResponse(correlation_id=question.correlation_id)
        limit = asyncio.timeout(self._max_duration)
        try:
            async with limit:
                self._rules.check(question, within="request.")
                await self._admit(question.request.account_id)
                answer = await self._in_turn(insights.question(question.request), begun)
        except KeeperError as error:
            response.error.CopyFrom(status.to_status(error))
        except Exception as error:  # noqa: BLE001 - one question's failure is not the stream's
            if isinstance(error, TimeoutError) and limit.expired():
                response.error.CopyFrom(status.deadline_exceeded())
            else:
                report_defect("EnhanceInsights", error)
                response.error.CopyFrom(status.internal())
        else:
            insight_id = question.request.insight.insight_id
            response.response.CopyFrom(insights.enhanced(answer, insight_id))
        return response

    async def _in_turn(self, question: Question, begun: asyncio.Event) -> Enhancement:
        """The answer, worked on when the question's turn has come. `begun` is set then."""
        async with in_turn(self._gate, ONE_QUESTION, self._max_duration):
            begun.set()
            return await self._enhance(question)


class _Stream:
    """One stream: its bound on questions in flight, and its one sender at a time."""

    def __init__(
        self,
        answer: Callable[[Read, asyncio.Event], Awaitable[EnhanceInsightsResponse]],
        send: Send,
        in_flight: int,
    ) -> None:
        self._answer = answer
        self._send = send
        self._slots = asyncio.Semaphore(in_flight)
        self._sending = asyncio.Lock()
        self.answered = 0
        self.failed = 0

    async def read(self, questions: AsyncIterable[Read], group: asyncio.TaskGroup) -> None:
        """Read questions as slots become free and turns come, and answer each in a task of the group."""
        upcoming = aiter(questions)
        while True:
            await self._slots.acquire()
            question = await anext(upcoming, None)
            if question is None:
                return
            begun = asyncio.Event()
            group.create_task(self._respond(question, begun))
            await begun.wait()

    async def _respond(self, question: Read, begun: asyncio.Event) -> None:
        try:
            response = await self._answer(question, begun)
        finally:
            # Also of one that never began.
            begun.set()
        # gRPC takes one message at a time.
        async with self._sending:
            await self._send(response)
        self.answered += 1
        self.failed += response.HasField("error")
        self._slots.release()
