from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest

from keeper_grpc.domain.emerging.model import Change
from keeper_grpc.domain.errors import SubscriberTooSlow
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import StreamEmergingPatternsRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from tests.e2e.waiting import SOON
from tests.integration.emerging.emerging_events import cluster, tell
from tests.integration.emerging.feed import Feed, emerged, following
from tests.rpc.refusal import read
from tests.rpc.service import Service, running

BUFFER = 3


@pytest.fixture(scope="module")
async def tiny(database_url: str) -> AsyncIterator[Feed]:
    """The module's feed."""
    async with following(database_url, buffer=BUFFER) as feed:
        yield feed


async def cut_off(stream: asyncio.Future[Any]) -> None:
    """Wait until the stream ends for being too slow."""
    async with asyncio.timeout(SOON):
        with pytest.raises(SubscriberTooSlow, match="resume with the last resume_token"):
            await stream


async def test_who_does_not_read_is_cut_off_and_can_resume(tiny: Feed, topic: str) -> None:
    """The stream ends during a message that the reader does not take; its token brings all that it missed."""
    changes = emerged(topic, BUFFER + 2)  # one is under way when the buffer begins to fill
    async with tiny.subscribed(pattern_type=topic) as (reader, stream):
        reader.reads.clear()
        await tell(tiny.database, changes[0])
        await tell(tiny.database, *changes[1:])
        await cut_off(stream)
        assert reader.changes == []
        ((_, token),) = reader.sent
    async with tiny.subscribed(token, pattern_type=topic) as (resumed, _):
        await resumed.has(len(changes))
    assert resumed.changes == changes
    assert len({token for _, token in resumed.sent}) == len(changes)


async def test_a_full_buffer_alone_is_no_reason(tiny: Feed, topic: str) -> None:
    """Exactly as many changes as it holds are all delivered once it reads again."""
    changes = emerged(topic, BUFFER)
    async with (
        tiny.subscribed(pattern_type=topic) as (slow, stream),
        tiny.subscribed(pattern_type=topic) as (quick, _),
    ):
        slow.reads.clear()
        await tell(tiny.database, *changes)
        await quick.has(1 + BUFFER)
        assert not stream.done()
        slow.reads.set()
        await slow.has(1 + BUFFER)
        assert slow.changes == quick.changes == changes


async def test_what_a_filter_leaves_out_fills_no_buffer(tiny: Feed, topic: str) -> None:
    """A reader that waits for something else may be as slow as it likes."""
    async with (
        tiny.subscribed(pattern_type="something_else") as (slow, stream),
        tiny.subscribed(pattern_type=topic) as (quick, _),
    ):
        slow.reads.clear()
        for position, change in enumerate(emerged(topic, 2 * BUFFER), start=1):
            await tell(tiny.database, change)
            await quick.has(1 + position)
        assert not stream.done()


async def test_updates_of_one_cluster_do_not_pile_up(tiny: Feed, topic: str) -> None:
    """Of a hundred, a reader that pauses gets the one under way and the newest, and keeps its place."""
    ((_, first),) = emerged(topic, 1)
    updates = [
        (
            Change.UPDATED,
            cluster(first.emerging_pattern_id.int, pattern_type=topic, sighting_count=n),
        )
        for n in range(100)
    ]
    async with tiny.subscribed(pattern_type=topic) as (reader, stream):
        await tell(tiny.database, (Change.NEW, first))
        await reader.has(2)
        reader.reads.clear()
        async with tiny.subscribed(pattern_type=topic) as (quick, _):
            await tell(tiny.database, updates[0])
            await quick.has(3)
            last = await tell(tiny.database, *updates[1:])
            async with asyncio.timeout(SOON):
                while quick.changes[-1] != updates[-1]:
                    await quick.has(len(quick.sent) + 1)
        assert not stream.done()
        reader.reads.set()
        await reader.has(4)
        assert reader.changes[1:] == [updates[0], updates[-1]]
        before, after = reader.sent[-2][1], reader.sent[-1][1]
    assert after.split(".")[3] == str(last)
    async with tiny.subscribed(before, pattern_type=topic) as (resumed, _):
        await resumed.has(99)
    assert resumed.changes == updates[1:]


async def test_who_takes_no_message_in_time_is_cut_off(database_url: str, topic: str) -> None:
    """Though its buffer is far from full."""
    async with (
        following(database_url, buffer=BUFFER, stall=timedelta(milliseconds=200)) as feed,
        feed.subscribed(pattern_type=topic) as (reader, stream),
    ):
        reader.reads.clear()
        await tell(feed.database, *emerged(topic, 1))
        await cut_off(stream)


async def test_nothing_is_kept_of_who_left(tiny: Feed, topic: str) -> None:
    """However the stream ended."""
    async with (
        tiny.subscribed(pattern_type=topic) as (slow, stream),
        tiny.subscribed(pattern_type=topic),
    ):
        slow.reads.clear()
        for change in emerged(topic, BUFFER + 2):
            await tell(tiny.database, change)
        await cut_off(stream)
    assert not tiny.feed._subscriptions
    assert not tiny.feed._audiences


COUNT, BULK = 3_000, "x" * 4_000
"""About 12 MB: more than gRPC keeps for a reader that does not read."""
BATCH = 100
"""Changes of one burst: half of what a reader may lag behind."""


async def test_over_a_channel_a_stuck_reader_is_cut_off_and_the_others_are_not(
    database_url: str, topic: str
) -> None:
    """While it is stuck the others get everything; it learns why when it reads, and resumes."""
    changes = [
        (change, cluster(made.emerging_pattern_id.int, pattern_type=topic, common_pattern=BULK))
        for change, made in emerged(topic, COUNT)
    ]
    async with (
        running(
            database_url, stream_buffer=2 * BATCH, stream_stall=timedelta(minutes=5)
        ) as service,
        # Connections of their own: a channel's streams share its flow control.
        grpc.aio.insecure_channel(f"127.0.0.1:{service.app.port}") as channel,
    ):
        stuck: Any = NetworkLearningServiceStub(channel).StreamEmergingPatterns(
            StreamEmergingPatternsRequest(pattern_type=topic)
        )
        others = [_open(service, topic) for _ in range(3)]
        await asyncio.gather(*(_read(stream, 1) for stream in (stuck, *others)))
        expected = [str(made.emerging_pattern_id) for _, made in changes]
        for start in range(0, COUNT, BATCH):
            await tell(service.database, *changes[start : start + BATCH])
            # At the pace of those who read: on a busy machine they would fall a buffer behind, too.
            for received in await asyncio.gather(*(_read(stream, BATCH) for stream in others)):
                told = [m.emerging_pattern.emerging_pattern_id for m in received]
                assert told == expected[start : start + BATCH]
        got, token = await _drained(stuck)
        assert 0 < got < COUNT
        resumed = await _read(_open(service, topic, token), COUNT - got)
        missed = [m.emerging_pattern.emerging_pattern_id for m in resumed]
        assert missed == expected[got:]


async def test_a_stuck_reader_does_not_hold_up_a_drain(database_url: str, topic: str) -> None:
    """Its status cannot be sent before it reads, so the server does not wait for that."""
    bulk = [
        (change, cluster(made.emerging_pattern_id.int, pattern_type=topic, common_pattern=BULK))
        for change, made in emerged(topic, 200)
    ]
    # About 64 KB is all that such a client keeps unread.
    small = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_535)]
    async with running(database_url, drain_grace=timedelta(seconds=60)) as service:
        address = f"127.0.0.1:{service.app.port}"
        async with grpc.aio.insecure_channel(address, options=small) as channel:
            stuck: Any = NetworkLearningServiceStub(channel).StreamEmergingPatterns(
                StreamEmergingPatternsRequest(pattern_type=topic)
            )
            quick = _open(service, topic)
            await asyncio.gather(_read(stuck, 1), _read(quick, 1))
            await tell(service.database, *bulk)
            await _read(quick, len(bulk))
            async with asyncio.timeout(SOON):
                await service.app.drain()


def _open(service: Service, topic: str, token: str = "") -> Any:
    return service.network.StreamEmergingPatterns(
        StreamEmergingPatternsRequest(pattern_type=topic, resume_token=token)
    )


async def _read(stream: Any, count: int) -> list[Any]:
    """So many messages that are no heartbeats."""
    messages: list[Any] = []
    while len(messages) < count:
        async with asyncio.timeout(SOON):
            message = await stream.read()
        if message.WhichOneof("event") != "heartbeat":
            messages.append(message)
    return messages


async def _drained(stream: Any) -> tuple[int, str]:
    """Read what is left of a stream that was cut off: changes in it, and the last token."""
    messages: list[Any] = []

    async def exhaust() -> None:
        while True:
            async with asyncio.timeout(SOON):
                messages.append(await stream.read())

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await exhaust()
    refusal = read(caught.value)
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refusal.reason == "SUBSCRIBER_TOO_SLOW"
    changes = sum(message.WhichOneof("event") == "emerging_pattern" for message in messages)
    return changes, messages[-1].resume_token
