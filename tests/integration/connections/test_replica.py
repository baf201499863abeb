"""A real streaming standby to read from: recent, lagging, stopped, promoted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from keeper_grpc.storage.database import Database
from keeper_grpc.storage.replica import Replica
from keeper_grpc.storage.schema.migrate import migrate
from tests.e2e.waiting import SOON
from tests.postgres_over_tcp import TcpPostgres, streaming_pair

MAX_LAG = timedelta(seconds=10)


@dataclass
class Clock:
    """A time that the test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Pair:
    """A primary with its standby, and what reads of both."""

    primary: TcpPostgres
    standby: TcpPostgres
    database: Database
    replica: Replica
    clock: Clock

    async def write(self) -> None:
        """Commit something on the primary."""
        await self.primary.execute("INSERT INTO notes DEFAULT VALUES")

    async def caught_up(self) -> None:
        """Look until the standby is read from."""
        async with asyncio.timeout(SOON):
            while True:
                await self.replica.look()
                if self.replica.is_used:
                    return
                await asyncio.sleep(0.02)

    async def reads_standby(self) -> bool:
        """Who answers a reader: both ways to read agree."""
        async with self.replica.connection() as connection:
            first = await connection.fetchval("SELECT pg_is_in_recovery()")
        async with self.replica.transaction(read_only=True) as connection:
            second = await connection.fetchval("SELECT pg_is_in_recovery()")
        assert first is second
        return bool(first)


@pytest.fixture(scope="module")
async def servers(
    make_directory: Callable[[], Path],
) -> AsyncIterator[tuple[TcpPostgres, TcpPostgres]]:
    """A primary with the schema, and its standby."""
    async with streaming_pair(make_directory) as (primary, standby):
        await migrate(primary.url())
        # A role without any right beyond the tables', as a service should have.
        await primary.execute(
            """
            CREATE TABLE notes (n bigint GENERATED ALWAYS AS IDENTITY);
            CREATE ROLE plain LOGIN;
            GRANT ALL ON ALL TABLES IN SCHEMA public TO plain
            """
        )
        yield primary, standby


@pytest.fixture
async def pair(servers: tuple[TcpPostgres, TcpPostgres]) -> AsyncIterator[Pair]:
    """The servers, and a replica that was never looked at."""
    primary, standby = servers
    async with opened(primary) as database, opened(standby, for_reading=True) as reading:
        clock = Clock()
        replica = Replica(database, reading, max_lag=MAX_LAG, clock=clock)
        yield Pair(primary, standby, database, replica, clock)


@asynccontextmanager
async def opened(server: TcpPostgres, *, for_reading: bool = False) -> AsyncIterator[Database]:
    """A pool on one of the two."""
    database = await Database.open(
        server.url(user="plain"),
        pool_size=4,
        acquire_timeout=SOON,
        statement_timeout=SOON,
        for_reading=for_reading,
    )
    try:
        yield database
    finally:
        await database.close()


async def test_reads_go_to_a_standby_that_is_recent(pair: Pair) -> None:
    """From the first look on that finds it so, also while nothing is written."""
    assert not await pair.reads_standby()
    await pair.write()
    await pair.caught_up()
    assert await pair.reads_standby()
    for _ in range(3):
        pair.clock.now += MAX_LAG.total_seconds()
        await pair.replica.look()
        assert await pair.reads_standby()


async def test_a_standby_is_left_when_nobody_looks(pair: Pair) -> None:
    """What is not known to be recent counts as old."""
    await pair.caught_up()
    pair.clock.now += MAX_LAG.total_seconds() + 1
    assert not await pair.reads_standby()


async def test_a_standby_that_lags_is_left_and_joined_again(pair: Pair) -> None:
    """It is behind from the moment on that it has not replayed, however long ago that was written."""
    await pair.caught_up()
    await pair.standby.execute("SELECT pg_wal_replay_pause()")
    with capture_logs() as lines:
        pair.clock.now += 1
        await pair.write()
        await pair.replica.look()
        assert await pair.reads_standby()
        assert pair.replica.lag == pytest.approx(1)
        pair.clock.now += MAX_LAG.total_seconds()
        await pair.replica.look()
        assert not await pair.reads_standby()
        await pair.standby.execute("SELECT pg_wal_replay_resume()")
        await pair.caught_up()
        assert await pair.reads_standby()
    assert [(line["event"], line.get("reason")) for line in lines] == [
        ("replica_left", "it lags"),
        ("replica_joined", None),
    ]


async def test_what_must_be_seen_is_read_from_the_primary(pair: Pair) -> None:
    """Until the standby shows it, too."""
    await pair.caught_up()
    pair.clock.now += 1

    async def write() -> int:
        await pair.write()
        return 7

    assert await pair.replica.then_present(write)() == 7
    assert not await pair.reads_standby()
    pair.clock.now += 1
    await pair.caught_up()
    assert await pair.reads_standby()


async def test_a_standby_that_stops_costs_no_read(pair: Pair) -> None:
    """Reads go on at the primary at once, and back when it is there again."""
    await pair.caught_up()
    await pair.standby.stop()
    try:
        assert not await pair.reads_standby()
        await pair.replica.look()
        assert not await pair.reads_standby()
    finally:
        await pair.standby.start()
    await pair.caught_up()
    assert await pair.reads_standby()


async def test_another_cluster_is_never_read_from(
    pair: Pair, make_directory: Callable[[], Path]
) -> None:
    """Whatever position it has reached: it is somebody else's."""
    async with TcpPostgres(make_directory() / "data") as stranger:
        await stranger.admit("host all all 127.0.0.1/32 trust")
        await stranger.execute("CREATE ROLE plain LOGIN; CREATE EXTENSION vector")
        async with opened(stranger, for_reading=True) as reading:
            replica = Replica(pair.database, reading, max_lag=MAX_LAG, clock=pair.clock)
            with capture_logs() as lines:
                await replica.look()
            assert not replica.is_used
            assert lines[-1]["reason"] == "it is of another cluster"


async def test_a_standby_that_was_promoted_is_left(pair: Pair) -> None:
    """It writes a history of its own. (The last test of this pair.)"""
    await pair.caught_up()
    await pair.standby.fetchval("SELECT pg_promote(true, 60)")
    await pair.replica.look()
    assert not pair.replica.is_used
    async with pair.replica.connection() as connection:
        assert await connection.fetchval("SELECT inet_server_port()") == pair.primary.port
