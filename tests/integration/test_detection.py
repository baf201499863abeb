from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg
import pytest

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging_detection import LEADER_LOCK, PostgresDetection
from tests.integration.observations import (
    MODEL,
    capture,
    captures_of,
    observation,
    opened,
    register,
    scope,
    vector,
)


async def leader_pid(dsn: str) -> int:
    """The backend that holds the leader's lock in this database."""
    connection = await asyncpg.connect(dsn)
    try:
        (row,) = await connection.fetch(
            """
            SELECT pid FROM pg_locks
             WHERE locktype = 'advisory' AND (classid::bigint << 32) + objid::bigint = $1
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """,
            LEADER_LOCK,
        )
    finally:
        await connection.close()
    pid: int = row["pid"]
    return pid


async def terminate_leader(dsn: str) -> None:
    """What a failover or an administrator does to the leader's connection."""
    pid = await leader_pid(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        assert await connection.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
    finally:
        await connection.close()


async def test_one_process_leads_and_the_next_follows_when_it_stops(database_url: str) -> None:
    """The lead is one per database and is given back at the end of the block."""
    async with opened(database_url) as one, opened(database_url) as other:
        async with PostgresDetection(one, MODEL).lead() as first:
            assert first is not None
            async with PostgresDetection(other, MODEL).lead() as second:
                assert second is None
        async with PostgresDetection(other, MODEL).lead() as second:
            assert second is not None


async def test_a_leader_that_loses_its_connection_loses_the_lead(database_url: str) -> None:
    """It finds out at its next step, and meanwhile another one may lead."""
    async with opened(database_url) as one, opened(database_url) as other:
        with pytest.raises(StorageUnavailable):  # noqa: PT012 - the lead fails as a whole
            async with PostgresDetection(one, MODEL).lead() as first:
                assert first is not None
                await terminate_leader(database_url)
                async with PostgresDetection(other, MODEL).lead() as second:
                    assert second is not None
                    async with first.step() as step:
                        await step.pending(1)


async def sight(database: Database, pattern_type: str, accounts: int) -> None:
    """So many accounts see the same."""
    names = [f"{pattern_type}-{n}" for n in range(accounts)]
    await register(database, *names)
    for name in names:
        await capture(captures_of(database), observation(scope(pattern_type), name), vector(1))


async def test_a_step_that_fails_leaves_its_sightings_pending(database_url: str) -> None:
    """All or nothing: what was not committed, the next leader finds as it was."""
    async with opened(database_url) as database:
        await sight(database, "step_fails", 3)
        async with PostgresDetection(database, MODEL).lead() as leadership:
            assert leadership is not None
            with pytest.raises(RuntimeError, match="amid"):  # noqa: PT012 - the step fails as a whole
                async with leadership.step() as step:
                    seen = await step.pending(100)
                    cluster = uuid4()
                    await step.assign(
                        {s.sighting_id: cluster for s in seen}, {cluster: seen[0].family}
                    )
                    raise RuntimeError("amid the step")
            async with leadership.step() as step:
                again = await step.pending(100)
            assert [s.sighting_id for s in again] == [s.sighting_id for s in seen]
            assert not await leadership.clusters()


async def test_a_new_leader_restores_what_was_committed(database_url: str) -> None:
    """The sum of the members' vectors and their number are all that a cluster needs."""
    async with opened(database_url) as database:
        await sight(database, "restored", 3)
        cluster = uuid4()
        async with PostgresDetection(database, MODEL).lead() as leadership:
            assert leadership is not None
            async with leadership.step() as step:
                mine = [s for s in await step.pending(100) if s.family[1] == "restored"]
                await step.assign({s.sighting_id: cluster for s in mine}, {cluster: mine[0].family})
        async with PostgresDetection(database, MODEL).lead() as leadership:
            assert leadership is not None
            restored = {c.cluster_id: c for c in await leadership.clusters()}
        assert restored[cluster].count == 3
        assert restored[cluster].vector_sum == pytest.approx(3 * vector(1), abs=1e-5)


async def test_a_cancelled_leader_gives_the_lead_back(database_url: str) -> None:
    """A process that drains must not leave the others waiting for its connection to close."""
    async with opened(database_url) as database:
        leads = asyncio.Event()

        async def lead() -> None:
            async with PostgresDetection(database, MODEL).lead():
                leads.set()
                await asyncio.Event().wait()

        leader = asyncio.create_task(lead())
        await leads.wait()
        leader.cancel()
        await asyncio.wait([leader])
        async with PostgresDetection(database, MODEL).lead() as next_leader:
            assert next_leader is not None
