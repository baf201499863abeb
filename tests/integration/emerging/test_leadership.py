from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from keeper_grpc.domain.emerging.model import Emergence, Proven
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.emerging.detection import (
    PostgresDetection,
    PostgresLeadership,
)
from keeper_grpc.storage.locks import AdvisoryLock, lock_step
from keeper_grpc.usecases.emerging.detector import (
    FAILURES,
    DetectEmerging,
    DetectorTiming,
)
from keeper_grpc.usecases.emerging.ports import DetectionStore
from tests.e2e.waiting import POLL, SOON
from tests.integration.emerging.detecting import (
    SCALE,
    THRESHOLD,
    ask,
    changes,
    led,
    shown,
)
from tests.integration.observations import (
    MODEL,
    opened,
    vector,
)


async def leader_pid(dsn: str) -> int | None:
    """The backend that holds the leader's lock in this database, if any."""
    connection = await asyncpg.connect(dsn)
    try:
        pid: int | None = await connection.fetchval(
            """
            SELECT pid FROM pg_locks
             WHERE locktype = 'advisory' AND (classid::bigint << 32) + objid::bigint = $1
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """,
            int(AdvisoryLock.LEADER),
        )
    finally:
        await connection.close()
    return pid


async def terminate_leader(dsn: str) -> None:
    """What a failover or an administrator does to the leader's connection."""
    pid = await leader_pid(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        assert await connection.fetchval("SELECT pg_terminate_backend($1::integer, 5000)", pid)
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


class FailingIds:
    """Ids for clusters; each fails a given number of times first. `made` is set by the last."""

    def __init__(self, failures: Iterable[int]) -> None:
        self._plan = [answer for count in failures for answer in [*[None] * count, uuid4()]]
        self.calls = 0
        self.made = asyncio.Event()

    def __call__(self) -> UUID:
        answer = self._plan[self.calls] if self.calls < len(self._plan) else None
        self.calls += 1
        if self.calls == len(self._plan):
            self.made.set()
        if answer is None:
            raise RuntimeError("a defect")
        return answer


def running(
    store: DetectionStore,
    new_id: Callable[[], UUID],
    retry: timedelta = timedelta(milliseconds=5),
) -> DetectEmerging:
    """A detector that wastes no time, and whose steps fail as the ids do."""
    return DetectEmerging(
        store=store,
        cluster_threshold=THRESHOLD,
        emergence=Emergence(min_accounts=3, min_similarity=THRESHOLD),
        proven=Proven(min_similarity=0.95, min_lower_bound=0.99, k=3),
        k=3,
        embedder=None,
        scale=SCALE,
        timing=DetectorTiming(
            poll=timedelta(milliseconds=5),
            takeover=timedelta(milliseconds=5),
            retry=retry,
        ),
        clock=lambda: datetime.now(UTC),
        new_id=new_id,
    )


async def test_a_detector_that_fails_starts_over(database_url: str) -> None:
    """Errors count in a row: a step that succeeds between them makes the detector last."""
    async with opened(database_url) as database:
        await led(database)
        ids = FailingIds([FAILURES - 1, FAILURES - 1])
        task = asyncio.create_task(running(PostgresDetection(database, MODEL), ids).run())
        try:
            for account in "abc":
                await ask(database, "fails_first", account, vector(12))
            async with asyncio.timeout(SOON):
                while not await shown(database, "fails_first"):  # noqa: ASYNC110 - the database tells of itself in no other way
                    await asyncio.sleep(POLL)
                await ask(database, "fails_again", "a", vector(13))
                await ids.made.wait()
        finally:
            task.cancel()
            await asyncio.wait([task])
        assert task.cancelled()


async def test_a_detector_that_cannot_go_on_gives_up(database_url: str) -> None:
    """A defect that does not pass ends the process after so many attempts."""
    async with opened(database_url) as database:
        await led(database)
        await ask(database, "never", "a", vector(14))
        ids = FailingIds([])
        with pytest.raises(RuntimeError, match="a defect"):
            await running(PostgresDetection(database, MODEL), ids).run()
        # The lead is free again, and what was pending still is.
        await led(database)
    assert ids.calls == FAILURES


async def test_a_standby_takes_over_what_the_leader_leaves_pending(database_url: str) -> None:
    """It asks for the lead again and again, and goes on from what the dead leader committed."""
    async with opened(database_url) as one, opened(database_url) as other:
        leader = asyncio.create_task(running(PostgresDetection(one, MODEL), uuid4).run())
        async with asyncio.timeout(SOON):
            while not await leader_pid(database_url):  # noqa: ASYNC110 - the lock tells of itself in no other way
                await asyncio.sleep(POLL)
            standby = asyncio.create_task(running(PostgresDetection(other, MODEL), uuid4).run())
            try:
                for account in "abc":
                    await ask(one, "left_behind", account, vector(16))
                while not await shown(one, "left_behind"):  # noqa: ASYNC110 - nor does the database
                    await asyncio.sleep(POLL)
                # What a kill does to it: nobody unlocks, and nothing is cleaned up.
                await terminate_leader(database_url)
                leader.cancel()
                await ask(other, "left_behind", "d", vector(16))
                while (await shown(other, "left_behind"))[0].account_count < 4:  # noqa: ASYNC110
                    await asyncio.sleep(POLL)
            finally:
                for task in (leader, standby):
                    task.cancel()
                await asyncio.wait([leader, standby])
        assert [change for change, _ in await changes(other, "left_behind")] == ["new", "updated"]


async def test_a_standby_does_not_wait_as_long_as_one_that_failed(database_url: str) -> None:
    """That another process leads is no failure: the standby asks again after the shorter time."""
    async with opened(database_url) as one, opened(database_url) as other:
        async with PostgresDetection(one, MODEL).lead() as leadership:
            assert leadership is not None
            standby = Asking(PostgresDetection(other, MODEL))
            use_case = running(standby, uuid4, retry=timedelta(days=1))
            task = asyncio.create_task(use_case.run())
            await standby.refused.wait()
        try:
            async with asyncio.timeout(SOON):
                while not use_case.leads:  # noqa: ASYNC110 - it tells in no other way
                    await asyncio.sleep(POLL)
        finally:
            task.cancel()
            await asyncio.wait([task])


class Asking:
    """A store that signals when it was refused the lead."""

    def __init__(self, store: PostgresDetection) -> None:
        self._store = store
        self.refused = asyncio.Event()

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[PostgresLeadership | None]:
        async with self._store.lead() as leadership:
            yield leadership
        if leadership is None:
            self.refused.set()


async def test_a_statement_that_takes_too_long_is_counted(database_url: str) -> None:
    """The log and the count distinguish it from a database that is away; the process goes on, and so does the
    detector as soon as it can.
    """
    async with opened(database_url) as database:
        await led(database)
        use_case = running(PostgresDetection(database, MODEL), uuid4)
        with capture_logs() as logs:
            async with database.transaction() as other:
                await lock_step(other)
                task = asyncio.create_task(use_case.run())
                async with asyncio.timeout(SOON), database.connection() as server:
                    while use_case.errors <= FAILURES:
                        await time_out_waiting(server)
                        await asyncio.sleep(POLL)
            async with asyncio.timeout(SOON):
                while not use_case.steps:  # noqa: ASYNC110 - it tells in no other way
                    await asyncio.sleep(POLL)
        task.cancel()
        await asyncio.wait([task])
    timeouts = [log["timeouts"] for log in logs if log["event"] == "emerging_detector_timed_out"]
    assert timeouts[: FAILURES + 1] == list(range(1, FAILURES + 2))
    assert task.cancelled()


async def time_out_waiting(server: Connection) -> None:
    """End the statements that wait for a lock as a statement timeout would, however slow the machine is."""
    await server.execute(
        """
        SELECT pg_cancel_backend(pid) FROM pg_locks
         WHERE NOT granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """
    )
