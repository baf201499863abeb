from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keeper_grpc.domain.emerging import FeedFilter
from keeper_grpc.domain.errors import SubscriberTooSlow
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging_feed import PostgresEmergingFeed
from keeper_grpc.usecases.emerging_feed import Changed, EmergingFeed, FeedTiming, SnapshotComplete
from tests.rpc.requests import capture, new_topic
from tests.rpc.service import Service

BUFFER = 3


@dataclass(frozen=True)
class Feed:
    """A feed with a tiny buffer beside the service's own, on the same database."""

    feed: EmergingFeed
    service: Service

    async def changes(self, count: int) -> None:
        """Let so many clusters emerge, and wait until this feed has handed them out."""
        for topic in [new_topic() for _ in range(count)]:
            for _ in range(3):
                await self.service.network.CapturePattern(capture(topic, success=False))
        sql = "SELECT count(*) FROM sightings WHERE pending"
        async with asyncio.timeout(10):
            while await self.service.value(sql):  # noqa: ASYNC110 - the table alone tells
                await asyncio.sleep(0.02)
            last = await self.service.value("SELECT max(sequence) FROM emerging_events")
            while self.feed._sequence != last:  # noqa: ASYNC110 - nobody else waits for this
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
async def tiny(service: Service, database_url: str) -> AsyncIterator[Feed]:
    """A running feed whose subscribers may lag three changes behind."""
    database = await Database.open(
        database_url, pool_size=4, acquire_timeout=5, statement_timeout=5
    )
    feed = EmergingFeed(
        store=PostgresEmergingFeed(database),
        timing=FeedTiming(heartbeat=timedelta(seconds=5)),
        buffer=BUFFER,
        clock=lambda: datetime.now(UTC),
    )
    following = asyncio.create_task(feed.run())
    yield Feed(feed, service)
    following.cancel()
    await asyncio.wait([following])
    await database.close()


async def up_to_snapshot(messages: Any) -> str:
    """Read the snapshot; the token after it."""
    async for message, token in messages:
        if isinstance(message, SnapshotComplete):
            return str(token)
    raise AssertionError("the stream ended within its snapshot")


async def test_who_does_not_read_is_cut_off_and_can_resume(tiny: Feed) -> None:
    """One change more than the buffer holds: cut off; the token brings all of them."""
    messages = tiny.feed.subscribe(FeedFilter(), "")
    token = await up_to_snapshot(messages)
    await tiny.changes(BUFFER + 1)
    with pytest.raises(SubscriberTooSlow):
        await anext(messages)
    resumed = tiny.feed.subscribe(FeedFilter(), token)
    missed = [await anext(resumed) for _ in range(BUFFER + 1)]
    assert all(isinstance(message, Changed) for message, _ in missed)
    assert len({token for _, token in missed}) == BUFFER + 1
    await resumed.aclose()


async def test_a_full_buffer_alone_is_no_reason(tiny: Feed) -> None:
    """Exactly as many changes as it holds are all delivered."""
    messages = tiny.feed.subscribe(FeedFilter(), "")
    await up_to_snapshot(messages)
    await tiny.changes(BUFFER)
    received = [await anext(messages) for _ in range(BUFFER)]
    assert all(isinstance(message, Changed) for message, _ in received)
    await messages.aclose()


async def test_a_slow_reader_does_not_slow_the_others(tiny: Feed) -> None:
    """Beside one that reads nothing, another gets every change; who left holds no memory."""
    slow, quick = (tiny.feed.subscribe(FeedFilter(), "") for _ in range(2))
    await up_to_snapshot(slow)
    await up_to_snapshot(quick)
    for _ in range(2):
        await tiny.changes(BUFFER)
        for _ in range(BUFFER):
            message, _ = await anext(quick)
            assert isinstance(message, Changed)
    with pytest.raises(SubscriberTooSlow):
        await anext(slow)
    await quick.aclose()
    assert not tiny.feed._subscribers
