"""A feed without a server around it: subscribers are functions that take messages, or do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import asyncpg

from keeper_grpc.domain.emerging.model import Change, EmergingPattern, FeedFilter
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging.feed import PostgresEmergingFeed
from keeper_grpc.usecases.emerging.feed import EmergingFeed, FeedStore, FeedTiming
from keeper_grpc.usecases.emerging.messages import Changed, Message, SnapshotComplete
from tests.e2e.waiting import SOON
from tests.integration.emerging.emerging_events import cluster


@dataclass
class Reader:
    """What a subscriber was sent. It takes messages while `reads` is set."""

    sent: list[tuple[Message, str]] = field(default_factory=list)
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Message, token: str) -> None:
        """What the feed calls."""
        await self.reads.wait()
        self.sent.append((message, token))
        self._changed.set()

    @property
    def changes(self) -> list[tuple[Change, EmergingPattern]]:
        """The changes among it."""
        return [(m.change, m.cluster) for m, _ in self.sent if isinstance(m, Changed)]

    async def has(self, count: int) -> None:
        """Wait until it was sent so many messages."""
        async with asyncio.timeout(SOON):
            while len(self.sent) < count:
                self._changed.clear()
                await self._changed.wait()

    async def until_snapshot(self) -> None:
        """Wait until it was sent a whole snapshot."""
        while not any(isinstance(message, SnapshotComplete) for message, _ in self.sent):
            await self.has(len(self.sent) + 1)

    @property
    def expired(self) -> bool:
        """Whether a snapshot said that the token could not be used."""
        return any(isinstance(m, SnapshotComplete) and m.expired for m, _ in self.sent)


@dataclass(frozen=True)
class Feed:
    """A running feed, and the database that it follows."""

    feed: EmergingFeed
    database: asyncpg.Pool[asyncpg.Record]

    @asynccontextmanager
    async def subscribed(
        self, token: str = "", **wanted: Any
    ) -> AsyncIterator[tuple[Reader, asyncio.Future[Any]]]:
        """A reader that reads, up to the snapshot's end unless it resumes, and its stream."""
        reader = Reader()
        reader.reads.set()
        filters = FeedFilter(**wanted)
        stream = asyncio.ensure_future(self.feed.deliver(filters, token, reader.send))
        try:
            if not token:
                await reader.until_snapshot()
            yield reader, stream
        finally:
            stream.cancel()
            await asyncio.wait([stream])


@asynccontextmanager
async def following(
    database_url: str,
    *,
    buffer: int = 100,
    store: Callable[[Database], FeedStore] = PostgresEmergingFeed,
    **timing: timedelta,
) -> AsyncIterator[Feed]:
    """A running feed whose subscribers may lag so many changes behind."""
    database = await Database.open(
        database_url, pool_size=4, acquire_timeout=SOON, statement_timeout=SOON
    )
    feed = EmergingFeed(
        store=store(database),
        timing=FeedTiming(**timing),
        buffer=buffer,
        clock=lambda: datetime.now(UTC),
        rng=Random(1),  # noqa: S311 - a test's, to be the same each time
    )
    task = asyncio.create_task(feed.run())
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as writer:
        yield Feed(feed, writer)
    task.cancel()
    await asyncio.wait([task])
    await database.close()


def emerged(topic: str, count: int) -> list[tuple[Change, EmergingPattern]]:
    """So many clusters emerge."""
    return [(Change.NEW, cluster(uuid4().int, pattern_type=topic)) for _ in range(count)]
