from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from keeper_grpc.domain.emerging.model import Change, EmergingPattern, FeedEvent, Place
from keeper_grpc.storage.emerging.feed import PostgresEmergingFeed
from keeper_grpc.storage.emerging.retention import PostgresRetention
from keeper_grpc.usecases.emerging.present import Present
from keeper_grpc.usecases.emerging.retention import TrimEvents
from tests.integration.emerging.emerging_events import lives, tell, trimmed_to
from tests.integration.emerging.feed import emerged, following
from tests.integration.observations import opened

NOW = datetime(2026, 11, 20, tzinfo=UTC)
RETENTION = timedelta(days=30)
OLD = NOW - RETENTION - timedelta(days=1)


def trimming(database: object, clock: datetime = NOW) -> TrimEvents:
    """The use case, at a time of the test's."""
    return TrimEvents(
        store=PostgresRetention(database),  # type: ignore[arg-type]  # the fixture's Database
        retention=RETENTION,
        interval=timedelta(hours=1),
        clock=lambda: clock,
    )


@pytest.mark.parametrize("seed", range(5))
async def test_whoever_can_still_resume_sees_no_difference(database_url: str, seed: int) -> None:
    """For every token from the trimmed place on: what is shown there, and every event after it."""
    rng = random.Random(seed)  # noqa: S311 - a test's, to be the same each time
    changes = lives(rng, 60)
    old = rng.randrange(20, 60)

    async def seen(
        store: PostgresEmergingFeed, place: Place
    ) -> tuple[set[EmergingPattern] | None, Sequence[FeedEvent] | None]:
        now = Present(*await store.snapshot())
        before = await store.before(now.epoch, place, now.place)
        past = None if before is None else set(now.undone(before))
        return past, await store.events_after(now.epoch, place, 100)

    async with opened(database_url) as database, following(database_url) as feed:
        store = PostgresEmergingFeed(database)
        epoch, beginning = await trimmed_to(database)
        await tell(feed.database, *changes[:old], created=OLD)
        await tell(feed.database, *changes[old:], created=NOW)
        events = await store.events_after(epoch, beginning, 100)
        assert events is not None
        places = [event.place for event in events]
        before = [await seen(store, place) for place in places[old - 1 :]]
        assert await trimming(database)() == old
        assert await trimmed_to(database) == (epoch, places[old - 1])
        after = [await seen(store, place) for place in places[old - 1 :]]
        assert after == before
        for gone in (beginning, *places[: old - 1]):
            assert await seen(store, gone) == (None, None)
        left = await feed.database.fetchval("SELECT count(*) FROM emerging_events")
        assert left <= len(changes) - old + 6
        await feed.database.execute("TRUNCATE emerging_events")
        await trimming(database)()


async def test_a_token_older_than_what_is_kept_brings_a_flagged_snapshot(
    database_url: str,
) -> None:
    """And one that is just not too old brings exactly what it missed."""
    changes = emerged("kept", 4)
    wanted = {"pattern_type": "kept"}
    async with opened(database_url) as database, following(database_url) as feed:
        async with feed.subscribed(**wanted) as (reader, _):
            await tell(feed.database, *changes[:2], created=OLD)
            await tell(feed.database, *changes[2:], created=NOW)
            await reader.has(5)
        tokens = [token for _, token in reader.sent]
        await trimming(database)()
        async with feed.subscribed(tokens[1], **wanted) as (stale, _):
            await stale.until_snapshot()
        assert stale.expired
        assert sorted(c.emerging_pattern_id for _, c in stale.changes) == sorted(
            c.emerging_pattern_id for _, c in changes
        )
        async with feed.subscribed(tokens[2], **wanted) as (fresh, _):
            await fresh.has(2)
        assert fresh.changes == changes[2:]


async def test_when_all_is_trimmed_history_has_not_gone_back(database_url: str) -> None:
    """A token from before is still the present's, and the next event is the next."""
    ((_, made),) = emerged("all", 1)
    async with opened(database_url) as database, following(database_url) as feed:
        store = PostgresEmergingFeed(database)
        await tell(feed.database, (Change.NEW, made), (Change.FADED, made), created=OLD)
        before, _ = await store.snapshot()
        await trimming(database)()
        assert (await store.snapshot())[0] == before
        assert await store.events_after(before.epoch, before.place, 10) == []
        next_one = await tell(feed.database, (Change.NEW, made), created=NOW)
        assert next_one == before.place.sequence + 1


async def test_it_is_done_in_batches(database_url: str) -> None:
    """Each no larger than asked for, until nothing old is left; what is young stays."""
    async with opened(database_url) as database, following(database_url) as feed:
        await trimming(database, NOW + timedelta(days=1000))()
        await tell(feed.database, *emerged("batches", 5), created=OLD)
        await tell(feed.database, *emerged("batches", 2), created=NOW)
        store = PostgresRetention(database)
        counts = [await store.trim(NOW - RETENTION, 2) for _ in range(4)]
    assert counts == [2, 2, 1, 0]
