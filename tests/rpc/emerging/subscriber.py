"""A subscriber of emerging patterns over a channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeAlias

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    StreamEmergingPatternsRequest,
    StreamEmergingPatternsResponse,
)
from tests.e2e.waiting import SOON
from tests.rpc.refusal import Refusal, read
from tests.rpc.requests import capture
from tests.rpc.service import Service

UPDATED = EmergingPattern.CHANGE_UPDATED

Stream: TypeAlias = Any
"""grpc's UnaryStreamCall; its class is generic in the stubs only."""


@asynccontextmanager
async def subscribed(service: Service, **fields: Any) -> AsyncIterator[Stream]:
    """An open stream; cancelled at the end of the block."""
    stream: Stream = service.network.StreamEmergingPatterns(StreamEmergingPatternsRequest(**fields))
    try:
        yield stream
    finally:
        stream.cancel()


async def next_message(stream: Stream) -> StreamEmergingPatternsResponse:
    """The next message of any kind."""
    async with asyncio.timeout(SOON):
        message = await stream.read()
    assert isinstance(message, StreamEmergingPatternsResponse)
    assert message.resume_token
    return message


async def next_event(stream: Stream) -> StreamEmergingPatternsResponse:
    """The next message that is no heartbeat."""
    async with asyncio.timeout(SOON):
        while True:
            message: StreamEmergingPatternsResponse = await stream.read()
            # A heartbeat has no token while the stream waits for its snapshot.
            if message.WhichOneof("event") != "heartbeat":
                assert message.resume_token
                return message


async def next_change(
    stream: Stream, wanted: Callable[[EmergingPattern], bool] = lambda _: True
) -> StreamEmergingPatternsResponse:
    """The next change that meets a condition."""
    async with asyncio.timeout(SOON):
        while True:
            message = await next_event(stream)
            assert message.WhichOneof("event") == "emerging_pattern"
            if wanted(message.emerging_pattern):
                return message


async def snapshot(stream: Stream) -> tuple[list[EmergingPattern], StreamEmergingPatternsResponse]:
    """The members of the snapshot, and the message that ends it."""
    members = []
    while (message := await next_event(stream)).WhichOneof("event") == "emerging_pattern":
        members.append(message.emerging_pattern)
    assert message.WhichOneof("event") == "snapshot_complete"
    assert message.snapshot_complete.count == len(members)
    return members, message


async def ended(stream: Stream) -> Refusal:
    """The error that ends a stream, whatever comes before."""
    async with asyncio.timeout(SOON):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _exhaust(stream)
    return read(caught.value)


async def _exhaust(stream: Stream) -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass


async def seen_by(service: Service, topic: str, accounts: int, **fields: Any) -> None:
    """So many new accounts capture the same failed insight: it emerges and never is proven."""
    for _ in range(accounts):
        await service.network.CapturePattern(capture(topic, success=False, **fields))


async def quiet(stream: Stream) -> None:
    """Fails if anything but heartbeats comes until a whole silence from now on is over."""
    now = datetime.now(UTC)
    whole = 0
    while whole < 2:
        message = await next_message(stream)
        assert message.WhichOneof("event") == "heartbeat"
        whole += message.heartbeat.server_time.ToDatetime(tzinfo=UTC) >= now


async def detected(service: Service, topic: str) -> None:
    """Wait until the detector has looked at every sighting of a topic."""
    sql = "SELECT count(*) FROM sightings WHERE pattern_type = $1 AND pending"
    async with asyncio.timeout(SOON):
        while await service.value(sql, topic):  # noqa: ASYNC110 - the table alone tells
            await asyncio.sleep(0.02)
