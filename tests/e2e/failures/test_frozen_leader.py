"""A leader that is frozen, replaced and thawed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from keeper_grpc.storage.emerging.detection import LEASE
from keeper_grpc.storage.locks import AdvisoryLock
from tests.e2e.calls import Subscription, emerge
from tests.e2e.conftest import StartServer
from tests.e2e.failures.test_two_servers import leads
from tests.e2e.server_process import ServerProcess
from tests.e2e.waiting import SOON, until

TAKEN_OVER = LEASE + SOON


@asynccontextmanager
async def frozen(leader: ServerProcess, dsn: str, *, inside: bool) -> AsyncIterator[None]:
    """Stopped for the block, between two steps or `inside` of one: in its transaction, with the lock of steps."""
    if not inside:
        leader.send(signal.SIGSTOP)
    else:
        other = await asyncpg.connect(dsn)
        try:
            async with other.transaction():
                await other.execute("SELECT pg_advisory_xact_lock($1)", int(AdvisoryLock.STEP))
                await until_waiting(other)
                leader.send(signal.SIGSTOP)
        finally:
            await other.close()
    try:
        yield
    finally:
        leader.send(signal.SIGCONT)


async def until_waiting(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Wait until a step waits for the lock of steps."""
    key = int(AdvisoryLock.STEP)
    async with asyncio.timeout(SOON):
        while not await connection.fetchval(  # noqa: ASYNC110 - a database sets no event for its locks
            """
            SELECT count(*) FROM pg_locks
             WHERE locktype = 'advisory' AND NOT granted AND (classid::bigint << 32) + objid::bigint = $1
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """,
            key,
        ):
            await asyncio.sleep(0.02)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("inside", [False, True], ids=["between steps", "inside a step"])
async def test_a_frozen_leader_is_replaced_and_writes_nothing_when_it_thaws(
    start_server: StartServer, database_of_its_own: str, inside: bool
) -> None:
    """The database takes the lead from it; it notices at its first statement, and its subscribers miss and see nothing twice."""
    servers = await asyncio.gather(
        start_server(database_url=database_of_its_own),
        start_server(database_url=database_of_its_own),
    )
    await until(lambda: any(map(leads, servers)), within=SOON, what="one leads")
    leader, other = sorted(servers, key=leads, reverse=True)
    async with leader.channel() as cold, other.channel() as channel:
        thawed, kept = Subscription(cold), Subscription(channel)
        await until(lambda: thawed.complete and kept.complete, within=SOON, what="snapshots")
        await emerge(channel, "Text late guests on the way", insight_type="late_arrival")
        await until(
            lambda: thawed.changes("late_arrival") and kept.changes("late_arrival"),
            within=SOON,
            what="subscribers of both see it",
        )
        async with frozen(leader, database_of_its_own, inside=inside):
            # The frozen one would find these, too, and has the lead by its own account.
            await emerge(channel, "Offer gift cards at the desk", insight_type="gift_cards")
            await until(lambda: leads(other), within=TAKEN_OVER, what="the other one leads")
            await until(lambda: kept.changes("gift_cards"), within=SOON, what="it detects")
        await until(
            lambda: leader.events("emerging_detector_lost_database"), within=SOON, what="it notices"
        )
        await emerge(cold, "Open at six on workdays", insight_type="opening_hours")
        await until(
            lambda: thawed.changes("opening_hours") and kept.changes("opening_hours"),
            within=SOON,
            what="both go on",
        )
        assert thawed.changes() == kept.changes()
        assert len(set(kept.changes())) == len(kept.changes())
        assert len(leader.events("emerging_detector_leads")) == 1, "it leads no more"
        await thawed.close()
        await kept.close()
    connection = await asyncpg.connect(database_of_its_own)
    try:
        repeated = await connection.fetch(
            """
            SELECT emerging_pattern_id FROM emerging_events
             WHERE change = 'new' GROUP BY 1 HAVING count(*) > 1
            """
        )
    finally:
        await connection.close()
    assert not repeated
    for server in servers:
        assert not server.events("background_task_died")
