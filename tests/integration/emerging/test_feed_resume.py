from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from keeper_grpc.domain.emerging.model import Change, EmergingPattern, FeedEvent, Place
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging.feed import PostgresEmergingFeed
from keeper_grpc.storage.emerging.retention import PostgresRetention
from keeper_grpc.usecases.emerging.feed import CATCHING_UP
from keeper_grpc.usecases.emerging.present import Present
from keeper_grpc.usecases.stream_lifetime import Heartbeat
from tests.e2e.waiting import SOON
from tests.integration.emerging.emerging_events import lives, tell, trimmed_to
from tests.integration.emerging.feed import emerged, following
from tests.integration.observations import opened

CROWD = 40


class CountedStore(PostgresEmergingFeed):
    """Counts what is asked for those that resume, and how much of it at once."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.pasts = 0
        self.reads = 0
        self.at_once = 0
        self.most_at_once = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def before(
        self, epoch: UUID, place: Place, now: Place
    ) -> Mapping[UUID, EmergingPattern | None] | None:
        self.pasts += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.answers.wait()
            return await super().before(epoch, place, now)
        finally:
            self.at_once -= 1

    async def events_after(
        self, epoch: UUID, place: Place, limit: int
    ) -> Sequence[FeedEvent] | None:
        self.reads += 1
        return await super().events_after(epoch, place, limit)


class TrimmedStore(PostgresEmergingFeed):
    """Events are trimmed just after it was asked for a past: so many, the oldest."""

    trims = 0

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._retention = PostgresRetention(database)

    async def before(
        self, epoch: UUID, place: Place, now: Place
    ) -> Mapping[UUID, EmergingPattern | None] | None:
        past = await super().before(epoch, place, now)
        if self.trims:
            await self._retention.trim(datetime.now(UTC) + timedelta(days=1), self.trims)
        return past


class HeldStore(PostgresEmergingFeed):
    """Tells a past once it is let to."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.lets = asyncio.Event()

    async def before(
        self, epoch: UUID, place: Place, now: Place
    ) -> Mapping[UUID, EmergingPattern | None] | None:
        await self.lets.wait()
        return await super().before(epoch, place, now)


@pytest.mark.parametrize("seed", range(5))
async def test_every_past_is_the_present_with_what_changed_undone(
    database_url: str, seed: int
) -> None:
    """For every place in history, as a walk through all events finds it."""
    rng = random.Random(seed)  # noqa: S311 - a test's, to be the same each time
    async with opened(database_url) as database, following(database_url) as feed:
        await feed.database.execute("TRUNCATE emerging_events")
        store = PostgresEmergingFeed(database)
        epoch, beginning = await trimmed_to(database)
        await tell(feed.database, *lives(rng, 60))
        events = await store.events_after(epoch, beginning, 100)
        assert events is not None
        now = Present(*await store.snapshot())
        walk: dict[UUID, EmergingPattern] = {}
        for event in events:
            before = await store.before(epoch, place_before(event, events, beginning), now.place)
            assert before is not None
            assert set(now.undone(before)) == set(walk.values())
            walk.pop(event.cluster.emerging_pattern_id, None)
            if event.change in (Change.NEW, Change.UPDATED):
                walk[event.cluster.emerging_pattern_id] = event.cluster
        assert set(now.clusters.values()) == set(walk.values())


def place_before(event: FeedEvent, events: Sequence[FeedEvent], beginning: Place) -> Place:
    """Where history stood when an event came."""
    position = events.index(event)
    return events[position - 1].place if position else beginning


async def test_resuming_reads_what_was_missed_and_not_what_is_kept(database_url: str) -> None:
    """Rows that the statements touched, by the server's own count."""
    kept, missed = emerged("kept", 3_000), emerged("missed", 5)
    async with following(database_url) as feed, opened(database_url, pool_size=1) as database:
        store = PostgresEmergingFeed(database)
        await tell(feed.database, *kept)
        await feed.database.execute("ANALYZE emerging_events")
        then, _ = await store.snapshot()
        await tell(feed.database, *missed)
        now, _ = await store.snapshot()
        costs = []
        for _ in range(5):
            start = await rows_read(database)
            before = await store.before(then.epoch, then.place, now.place)
            await store.events_after(then.epoch, then.place, 500)
            costs.append(await rows_read(database) - start)
        # Other sessions report what they read earlier when they like; none of it makes a cost smaller.
        assert min(costs) < 10 * len(missed)
    assert before == {made.emerging_pattern_id: None for _, made in missed}


async def rows_read(database: Database) -> int:
    """Events read so far by all sessions; what this pool's one connection has read is in it."""
    async with database.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        await connection.execute("SELECT 1")
        count: int = await connection.fetchval(
            """
            SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables
             WHERE relname = 'emerging_events'
            """
        )
    return count


async def test_those_who_resume_at_once_share_the_work(database_url: str) -> None:
    """A crowd with one token costs as much as a few, and each subscriber gets the changes that it missed."""
    topic = "crowd"
    missed = emerged(topic, 5)
    async with following(database_url) as feed:
        async with feed.subscribed(pattern_type=topic) as (reader, _):
            await reader.until_snapshot()
        await tell(feed.database, *missed)
    token = reader.sent[-1][1]
    counted: list[CountedStore] = []
    async with following(database_url, store=lambda d: kept(counted, CountedStore(d))) as feed:
        async with AsyncExitStack() as stack:
            (store,) = counted
            # Without an answer until all have asked: a slow machine would let some come too late to share.
            store.answers.clear()
            crowd = [
                await stack.enter_async_context(feed.subscribed(token, pattern_type=topic))
                for _ in range(CROWD)
            ]
            async with asyncio.timeout(SOON):
                while sum(run.waiting for run in feed.feed._pasts._running.values()) < CROWD:  # noqa: ASYNC110 - the runs notify nobody of their callers
                    await asyncio.sleep(0)
            store.answers.set()
            for each, _ in crowd:
                await each.has(len(missed))
        assert all(each.changes == missed for each, _ in crowd)
    assert store.pasts == 1
    assert store.reads <= 10


async def test_those_who_resume_at_many_places_take_turns(database_url: str) -> None:
    """However many come at once, most of the pool is left to everyone else."""
    topic = "places"
    changes = emerged(topic, CROWD)
    async with following(database_url) as feed, feed.subscribed(pattern_type=topic) as (reader, _):
        await tell(feed.database, *changes)
        await reader.has(1 + CROWD)
    tokens = [token for _, token in reader.sent[1:-1]]
    counted: list[CountedStore] = []
    async with (
        following(database_url, store=lambda d: kept(counted, CountedStore(d))) as feed,
        AsyncExitStack() as stack,
    ):
        crowd = [
            await stack.enter_async_context(feed.subscribed(token, pattern_type=topic))
            for token in tokens
        ]
        for number, (each, _) in enumerate(crowd, start=1):
            await each.has(CROWD - number)
            assert each.changes == changes[number:]
    (store,) = counted
    assert store.pasts == len(tokens)
    assert store.most_at_once <= CATCHING_UP


async def test_a_subscriber_that_waits_to_resume_gets_heartbeats(database_url: str) -> None:
    """By heartbeats, after each of which it resumes where it wanted to."""
    topic = "held"
    missed = emerged(topic, 2)
    async with following(database_url) as feed:
        async with feed.subscribed(pattern_type=topic) as (reader, _):
            await reader.until_snapshot()
        await tell(feed.database, *missed)
    token = reader.sent[-1][1]
    held: list[HeldStore] = []
    async with (
        following(
            database_url,
            store=lambda d: kept(held, HeldStore(d)),
            heartbeat=timedelta(milliseconds=50),
        ) as feed,
        feed.subscribed(token, pattern_type=topic) as (resumed, _),
    ):
        await resumed.has(2)
        assert [(type(message), after) for message, after in resumed.sent[:2]] == [
            (Heartbeat, token),
            (Heartbeat, token),
        ]
        held[0].lets.set()
        async with asyncio.timeout(SOON):
            while len(resumed.changes) < len(missed):
                await resumed.has(len(resumed.sent) + 1)
        assert resumed.changes == missed


def kept(stores: list[Any], store: Any) -> Any:
    """The store, which is put into the list too."""
    stores.append(store)
    return store


@pytest.mark.parametrize("beyond", [False, True])
async def test_a_trim_during_a_resume_makes_no_gap(database_url: str, beyond: bool) -> None:
    """Up to the token's place nothing is missed; beyond it the stream ends, and a new one gets a snapshot."""
    topic = f"trimmed_{beyond}"
    changes = emerged(topic, 4)
    trimmed: list[TrimmedStore] = []
    async with following(database_url, store=lambda d: kept(trimmed, TrimmedStore(d))) as feed:
        async with feed.subscribed(pattern_type=topic) as (reader, _):
            await tell(feed.database, *changes)
            await reader.has(5)
        token = reader.sent[2][1]
        trimmed[0].trims = await older(feed.database, token) + beyond
        async with feed.subscribed(token, pattern_type=topic) as (resumed, stream):
            if not beyond:
                await resumed.has(2)
                assert resumed.changes == changes[2:]
                return
            async with asyncio.timeout(SOON):
                await asyncio.wait([stream])
            assert isinstance(stream.exception(), StorageUnavailable)
            assert resumed.sent == []
        async with feed.subscribed(token, pattern_type=topic) as (again, _):
            await again.until_snapshot()
        assert again.expired
        assert set(again.changes) == set(changes)


async def older(database: Any, token: str) -> int:
    """Events that are not trimmed, up to a token's."""
    count: int = await database.fetchval(
        """
        SELECT count(*) FROM emerging_events, emerging_history
         WHERE sequence > trimmed_sequence AND sequence <= $1
        """,
        int(token.split(".")[3]),
    )
    return count
