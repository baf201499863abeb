"""A server that fails as planned, and clients that soon try again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status as RichStatus

from keeper_grpc.client import (
    KeeperClient,
    Retries,
)
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternRequest,
    CapturePatternResponse,
    EnhanceInsightResponse,
    EnhanceInsightsRequest,
    EnhanceInsightsResponse,
    StreamEmergingPatternsRequest,
    StreamEmergingPatternsResponse,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
    NetworkLearningServiceServicer,
)
from tests.rpc.requests import insight, new_account

QUICK = Retries(wait_initial=0.01, jitter=lambda: 1.0)

OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)
"""Channels of one process to one address share a connection and its failures otherwise."""


def client(port: int, **chosen: Any) -> KeeperClient:
    """A client of a server on this machine."""
    usual: dict[str, Any] = {"retries": QUICK, "options": OWN_CONNECTION}
    return KeeperClient(f"127.0.0.1:{port}", **usual | chosen)


async def learn(keeper: KeeperClient, topic: str, action: str, outcomes: str) -> str:
    """Capture outcomes ("+-") of an action, each by an account of its own; the published pattern's id."""
    for seen in outcomes:
        answer = await keeper.capture(
            new_account(), insight(topic, action), Outcome(success=seen == "+")
        )
    assert answer.pattern_id, "the last account sees what the three before it published"
    return answer.pattern_id


def rich(code: grpc.StatusCode, *details: Message) -> dict[str, Any]:
    """What `context.abort` takes to send a rich status."""
    packed = []
    for detail in details:
        packed.append(Packed())
        packed[-1].Pack(detail)
    status = RichStatus(code=code.value[0], message="as planned", details=packed)
    return {
        "code": code,
        "details": "as planned",
        "trailing_metadata": (("grpc-status-details-bin", status.SerializeToString()),),
    }


def retry_after(seconds: float) -> RetryInfo:
    """The detail that asks a caller to wait."""
    info = RetryInfo()
    info.retry_delay.FromTimedelta(timedelta(seconds=seconds))
    return info


class Scripted(NetworkLearningServiceServicer):
    """A server that fails as planned, to see what the client makes of it."""

    def __init__(self) -> None:
        self.failures: list[dict[str, Any]] = []
        self.request_ids: list[str] = []
        self.times: list[float] = []
        self.asked: list[list[str]] = []
        self.answers_from = 1
        self.answers_to = 1_000
        self.hangs = False
        self.streams: list[Sequence[StreamEmergingPatternsResponse]] = []
        self.tokens: list[str] = []

    async def CapturePattern(  # noqa: N802 - gRPC names it
        self, request: CapturePatternRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> CapturePatternResponse:
        self.request_ids.append(request.request_id)
        self.times.append(time.monotonic())
        if self.failures:
            await context.abort(**self.failures.pop(0))
        return CapturePatternResponse(pattern_id="p")

    async def EnhanceInsights(  # noqa: N802 - gRPC names it
        self,
        questions: AsyncIterator[EnhanceInsightsRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[EnhanceInsightsResponse]:
        asked: list[str] = []
        names: list[str] = []
        answered = 0
        self.asked.append(asked)
        async for question in questions:
            asked.append(question.request.insight.insight_id)
            names.append(question.correlation_id)
            if self.failures and len(asked) == 2:
                await context.abort(**self.failures.pop(0))
            if self.answers_from <= len(asked):
                while answered < min(len(names), self.answers_to):
                    yield EnhanceInsightsResponse(
                        correlation_id=names[answered], response=EnhanceInsightResponse()
                    )
                    answered += 1
        if self.hangs:
            await asyncio.Event().wait()

    async def StreamEmergingPatterns(  # noqa: N802 - gRPC names it
        self,
        request: StreamEmergingPatternsRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[StreamEmergingPatternsResponse]:
        self.tokens.append(request.resume_token)
        for message in self.streams.pop(0):
            yield message
        await context.abort(**self.failures.pop(0))


def script() -> Scripted:
    """A server without a plan."""
    return Scripted()  # type: ignore[abstract]  # it has the calls that these tests make


UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
