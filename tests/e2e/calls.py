"""Requests that the tests send, and clients to send them with."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

import grpc
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceStub
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Insight, Outcome
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternRequest,
    EnhanceInsightRequest,
    StreamEmergingPatternsRequest,
    StreamEmergingPatternsResponse,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
    NetworkLearningServiceStub,
)

if TYPE_CHECKING:  # types of the stub files only
    from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceAsyncStub
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def network(channel: grpc.aio.Channel) -> NetworkLearningServiceAsyncStub:
    """A client of the network."""
    return NetworkLearningServiceStub(channel)


def admin(channel: grpc.aio.Channel) -> AdminServiceAsyncStub:
    """A client for operators."""
    return AdminServiceStub(channel)


def capture(
    account: str,
    action: str,
    *,
    insight_type: str = "churn_prevention",
    success: bool = True,
    request_id: str | None = None,
) -> CapturePatternRequest:
    """A capture of a spa's insight."""
    conditions = Struct()
    conditions.update({"days_since_visit": 60, "service": "Swedish Massage"})
    return CapturePatternRequest(
        request_id=request_id or str(uuid.uuid4()),
        account_id=account,
        insight=Insight(
            type=insight_type,
            business_category="spa",
            conditions=conditions,
            action=action,
            script="Hi {name}, we have missed you. Shall we find a time this week?",
            confidence=0.6,
        ),
        outcome=Outcome(success=success, revenue_impact=40.0),
    )


def question(account: str, action: str, *, insight_type: str) -> EnhanceInsightRequest:
    """A question of a spa, which is a sighting too."""
    return EnhanceInsightRequest(
        account_id=account,
        insight=Insight(type=insight_type, business_category="spa", action=action, confidence=0.6),
    )


async def emerge(
    channel: grpc.aio.Channel,
    action: str,
    *,
    insight_type: str,
    accounts: Sequence[str] = ("a", "b", "c"),
) -> None:
    """Let as many accounts see the same as make an emerging pattern."""
    for account in accounts:
        await network(channel).EnhanceInsight(question(account, action, insight_type=insight_type))


class Subscription:
    """A stream that is read in the background, as a dashboard would."""

    def __init__(self, channel: grpc.aio.Channel, resume_token: str = "") -> None:
        self._call = network(channel).StreamEmergingPatterns(
            StreamEmergingPatternsRequest(resume_token=resume_token)
        )
        self.messages: list[StreamEmergingPatternsResponse] = []
        self.error: grpc.aio.AioRpcError | None = None
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for message in self._call:
                self.messages.append(message)
        except grpc.aio.AioRpcError as error:
            self.error = error

    @property
    def resume_token(self) -> str:
        """Where a successor goes on."""
        return self.messages[-1].resume_token

    @property
    def complete(self) -> bool:
        """Whether the snapshot has arrived."""
        return any(message.HasField("snapshot_complete") for message in self.messages)

    @property
    def heartbeats(self) -> int:
        """Signs of life so far."""
        return sum(message.HasField("heartbeat") for message in self.messages)

    def changes(self, insight_type: str = "") -> list[tuple[str, int, int]]:
        """(cluster, change, accounts) of what emerged, of one type or of all, in order."""
        emerged = [m.emerging_pattern for m in self.messages if m.HasField("emerging_pattern")]
        return [
            (pattern.emerging_pattern_id, pattern.change, pattern.account_count)
            for pattern in emerged
            if insight_type in ("", pattern.pattern_type)
        ]

    async def close(self) -> None:
        """Stop reading."""
        self._call.cancel()
        self._reader.cancel()
        await asyncio.wait([self._reader])


class HealthWatch:
    """An open health Watch, with the last status that it received."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._call = HealthStub(channel).Watch(  # type: ignore[attr-defined]  # its stubs forgot it
            health_pb2.HealthCheckRequest()
        )
        self.status: int | None = None
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for message in self._call:
                self.status = message.status
        except grpc.aio.AioRpcError:
            return  # the server ended it

    async def close(self) -> None:
        """Stop watching."""
        self._call.cancel()
        self._reader.cancel()
        await asyncio.wait([self._reader])


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The reason in an error's ErrorInfo; empty without one."""
    info = ErrorInfo()
    return str(info.reason) if _unpack(error, info) else ""


def retry_delay(error: grpc.aio.AioRpcError) -> float:
    """Seconds after which the caller is asked to try again; 0 when it is not."""
    info = RetryInfo()
    return float(info.retry_delay.ToTimedelta().total_seconds()) if _unpack(error, info) else 0.0


def _unpack(error: grpc.aio.AioRpcError, into: Message) -> bool:
    """Find the detail of this type among those that an error carries."""
    status = Status()
    status.ParseFromString(
        dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    )
    return any(packed.Unpack(into) for packed in status.details)
