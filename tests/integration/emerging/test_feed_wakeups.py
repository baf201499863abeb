from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from keeper_grpc.storage.emerging.rows import EVENTS_CHANNEL
from tests.e2e.waiting import SOON
from tests.integration.emerging.emerging_events import tell
from tests.integration.emerging.feed import emerged, following

if TYPE_CHECKING:
    import asyncpg

BRIEFLY, NEVER = timedelta(milliseconds=50), timedelta(hours=1)


async def test_a_lost_notification_loses_no_event(database_url: str) -> None:
    """The table is looked at in any case."""
    changes = emerged("lost_notification", 3)
    async with (
        following(database_url, poll=BRIEFLY) as feed,
        feed.subscribed(pattern_type="lost_notification") as (reader, _),
    ):
        await tell(feed.database, *changes, notify=False)
        await reader.has(4)
    assert reader.changes == changes


async def test_a_notification_alone_wakes_the_reader(database_url: str) -> None:
    """Nobody waits for the next look."""
    changes = emerged("notified", 2)
    async with (
        following(database_url, poll=NEVER) as feed,
        feed.subscribed(pattern_type="notified") as (reader, _),
    ):
        for change in changes:
            await tell(feed.database, change)
            await reader.has(2 + changes.index(change))
    assert reader.changes == changes


async def test_a_listener_that_lost_its_connection_loses_no_event(database_url: str) -> None:
    """It listens again, and reads what was written meanwhile; the streams go on."""
    changes = emerged("deaf", 6)
    async with (
        following(database_url, poll=NEVER, retry=BRIEFLY) as feed,
        feed.subscribed(pattern_type="deaf") as (reader, stream),
    ):
        for number, change in enumerate(changes):
            if number % 2:
                await _terminate_listener(feed.database)
            await tell(feed.database, change)
        await reader.has(1 + len(changes))
        assert not stream.done()
    assert reader.changes == changes


async def _terminate_listener(database: asyncpg.Pool[asyncpg.Record]) -> None:
    """End the backend that listens, once there is one."""
    sql = """
        SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE datname = current_database() AND query ILIKE 'listen%' || $1 || '%'
    """
    async with asyncio.timeout(SOON):
        while not await database.fetchval(sql, EVENTS_CHANNEL):  # noqa: ASYNC110 - the server alone tells
            await asyncio.sleep(0.02)


async def test_another_database_in_the_place_of_ours_ends_the_streams(database_url: str) -> None:
    """After a restore what subscribers know is void; their tokens then bring a flagged snapshot."""
    async with (
        following(database_url, poll=BRIEFLY) as feed,
        feed.subscribed(pattern_type="restored") as (reader, stream),
    ):
        await tell(feed.database, *emerged("restored", 1))
        await reader.has(2)
        await feed.database.execute("UPDATE emerging_history SET epoch = gen_random_uuid()")
        async with asyncio.timeout(SOON):
            await asyncio.wait([stream])
        assert type(stream.exception()).__name__ == "StorageUnavailable"
        async with feed.subscribed(reader.sent[-1][1], pattern_type="restored") as (again, _):
            await again.has(1)
            await again.until_snapshot()
        assert again.expired
