from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NoReturn
from uuid import UUID, uuid4

import asyncpg
import numpy as np
import pytest
from asyncpg.connection import LoggedQuery
from numpy.typing import NDArray
from structlog.testing import capture_logs

from keeper_grpc.domain.accounts.forgetting import Forgotten
from keeper_grpc.domain.emerging.figures import minute
from keeper_grpc.domain.emerging.model import RENEWAL, Emergence, EmergingPattern, Family, Proven
from keeper_grpc.domain.emerging.novelty import Known
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.storage.accounts.forgetting import PostgresForgetting
from keeper_grpc.storage.database import Connection, Database, to_array
from keeper_grpc.storage.emerging import novelty
from keeper_grpc.storage.emerging.detection import (
    PostgresDetection,
    PostgresDetectionStep,
    PostgresLeadership,
)
from keeper_grpc.storage.emerging.novelty import nearest_known
from keeper_grpc.storage.emerging.rows import COLUMNS, from_json, from_row
from keeper_grpc.storage.emerging.sightings import insert_sighting
from keeper_grpc.storage.locks import AdvisoryLock, lock_step
from keeper_grpc.usecases.emerging import detector as detector_module
from keeper_grpc.usecases.emerging import full_pass, rounds
from keeper_grpc.usecases.emerging.detector import (
    FAILURES,
    DetectEmerging,
    DetectorTiming,
)
from keeper_grpc.usecases.emerging.full_pass import Agreement
from keeper_grpc.usecases.emerging.ports import DetectionStore, Leadership
from tests.e2e.waiting import POLL, SOON
from tests.integration.locks import waiting_for_a_lock
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

THRESHOLD = 0.8


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
            assert not [cluster async for cluster in leadership.clusters()]


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
                await step.keep_sums({cluster: (3 * vector(1), 3)})
        async with PostgresDetection(database, MODEL).lead() as leadership:
            assert leadership is not None
            kept = {c.cluster_id: c async for c in leadership.clusters()}
            anew = {c.cluster_id: c async for c in leadership.summed([cluster])}
        assert anew.keys() == {cluster}
        for restored in (kept, anew):
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


def detector(
    store: PostgresDetection,
    full_pass: timedelta = timedelta(days=1),
    k: int = 3,
    sweep: timedelta = timedelta(seconds=5),
) -> DetectEmerging:
    """A detector that is stepped by the test."""
    return DetectEmerging(
        store=store,
        cluster_threshold=THRESHOLD,
        emergence=Emergence(min_accounts=3, min_similarity=THRESHOLD),
        proven=Proven(min_similarity=0.95, min_lower_bound=0.99, min_accounts=3),
        k=k,
        timing=DetectorTiming(full_pass=full_pass, sweep=sweep),
        clock=lambda: datetime.now(UTC),
        new_id=uuid4,
    )


async def ask(
    database: Database,
    pattern_type: str,
    account: str,
    place: NDArray[np.float32],
    *,
    value: float = 10.0,
    action: str = "offer a package",
    later: timedelta = timedelta(0),
) -> None:
    """An account sees something, so much later than now. The action makes the sentence."""
    seen = observation(scope(pattern_type), account, action=action)
    async with database.transaction() as connection:
        await insert_sighting(
            connection,
            account_key=account,
            insight=replace(seen.insight, potential_value=value),
            embedding_model=MODEL,
            embedding=place,
            seen_time=datetime.now(UTC) + later,
        )


async def steps(use_case: DetectEmerging, leadership: Leadership) -> None:
    """Step until nothing is new."""
    while await use_case.step(leadership):
        pass


async def shown(database: Database, pattern_type: str) -> list[EmergingPattern]:
    """The clusters of a type that subscribers see, largest first."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            f"SELECT {COLUMNS} FROM emerging_patterns WHERE pattern_type = $1"  # noqa: S608 - a constant
            " AND state = 'emerging' ORDER BY sighting_count DESC",
            pattern_type,
        )
    return [from_row(row) for row in rows]


async def changes(database: Database, pattern_type: str) -> list[tuple[str, UUID]]:
    """What subscribers were told about a type, in order."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT change, emerging_pattern_id FROM emerging_events"
            " WHERE state->>'pattern_type' = $1 ORDER BY sequence",
            pattern_type,
        )
    return [(row["change"], row["emerging_pattern_id"]) for row in rows]


async def told(database: Database, pattern_type: str) -> list[EmergingPattern]:
    """The descriptions that went with these changes."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT state FROM emerging_events WHERE state->>'pattern_type' = $1 ORDER BY sequence",
            pattern_type,
        )
    return [from_json(row["state"]) for row in rows]


async def test_a_renewed_sighting_is_counted_once_as_it_is_now(database_url: str) -> None:
    """The same account with the same sentence again: one sighting, with the new amount."""
    async with opened(database_url) as database:
        store = PostgresDetection(database, MODEL)
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store)
            await use_case.restore(leadership)
            for account in "abc":
                await ask(database, "renewed", account, vector(2))
            await steps(use_case, leadership)
            await ask(database, "renewed", "a", vector(2), value=70.0, later=2 * RENEWAL)
            await steps(use_case, leadership)
            (cluster,) = await shown(database, "renewed")
    assert (cluster.account_count, cluster.sighting_count) == (3, 3)
    assert cluster.total_potential_value == 90.0
    assert cluster.growth_rate == 1.0
    assert cluster.novelty == 1.0
    assert cluster.common_pattern.startswith("When day of week is Monday, offer a package")


async def test_the_next_leader_counts_on_from_what_the_last_one_counted(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is restored is what was in memory, without reading a vector: no change is told, then the next."""

    def summed(_: object, cluster_ids: Collection[UUID]) -> NoReturn:
        raise AssertionError(f"summed {len(cluster_ids)} clusters anew")

    monkeypatch.setattr(PostgresLeadership, "summed", summed)
    async with opened(database_url) as database:
        store = PostgresDetection(database, MODEL)
        for account in "abc":
            await ask(database, "taken_over", account, vector(3, noise=0.2, of=ord(account)))
        async with store.lead() as leadership:
            assert leadership is not None
            first = detector(store)
            await first.restore(leadership)
            await steps(first, leadership)
            (before,) = await shown(database, "taken_over")
        async with store.lead() as leadership:
            assert leadership is not None
            second = detector(store)
            await second.restore(leadership)
            await steps(second, leadership)
            assert await shown(database, "taken_over") == [before]
            await ask(database, "taken_over", "d", vector(3), value=1.0)
            await steps(second, leadership)
            (after,) = await shown(database, "taken_over")
        told = await changes(database, "taken_over")
    assert [change for change, _ in told] == ["new", "updated"]
    assert (after.account_count, after.sighting_count) == (4, 4)
    assert after.total_potential_value == before.total_potential_value + 1


async def test_a_known_pattern_makes_a_cluster_less_novel(database_url: str) -> None:
    """Published or not: what the network knows of the type is no novelty."""
    async with opened(database_url) as database:
        await sight(database, "known", 3)
        store = PostgresDetection(database, MODEL)
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store)
            await use_case.restore(leadership)
            for account in "abc":
                await ask(database, "known", account, vector(1), action="again")
            await steps(use_case, leadership)
            (cluster,) = await shown(database, "known")
    assert cluster.novelty == pytest.approx(0, abs=1e-3)


async def tear(database: Database, pattern_type: str, keep: int) -> UUID:
    """Leave a cluster its first `keep` sightings, and give the others to a copy, as drift might."""
    torn = uuid4()
    async with database.transaction() as connection:
        await connection.execute(
            f"""
            INSERT INTO emerging_patterns (state, {COLUMNS})
            SELECT state, $1, {COLUMNS.strip().removeprefix("id,")}
              FROM emerging_patterns WHERE pattern_type = $2
            """,  # noqa: S608 - constants
            torn,
            pattern_type,
        )
        await connection.execute(
            """
            UPDATE sightings SET emerging_pattern_id = $1
             WHERE id IN (SELECT id FROM sightings WHERE pattern_type = $2 ORDER BY id OFFSET $3)
            """,
            torn,
            pattern_type,
            keep,
        )
    return torn


async def corrected(database: Database, store: PostgresDetection) -> Agreement:
    """Lead until a full pass was made and applied."""
    async with store.lead() as leadership:
        assert leadership is not None
        use_case = detector(store, full_pass=timedelta(microseconds=1))
        await use_case.restore(leadership)
        while use_case.agreement is None:
            await use_case.step(leadership)
        first = use_case.agreement
        while use_case.agreement.moved or use_case.agreement is first:
            await use_case.step(leadership)
    return first


async def test_a_full_pass_joins_clusters_that_say_the_same(database_url: str) -> None:
    """The larger one keeps its id and grows, the other one fades: subscribers see nothing new."""
    async with opened(database_url) as database:
        store = PostgresDetection(database, MODEL)
        for account in "abcdefgh":
            await ask(database, "joined", account, vector(6, noise=0.2, of=ord(account)))
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store)
            await use_case.restore(leadership)
            await steps(use_case, leadership)
        (whole,) = await shown(database, "joined")
        torn = await tear(database, "joined", keep=5)
        agreement = await corrected(database, store)
        (joined,) = await shown(database, "joined")
        told = await changes(database, "joined")
    assert agreement.adjusted_rand < 1
    assert replace(joined, growth_rate=whole.growth_rate) == whole
    assert told[0] == ("new", whole.emerging_pattern_id)
    assert ("faded", torn) in told
    assert {change for change, cluster_id in told[1:] if cluster_id != torn} <= {"updated"}


async def test_a_full_pass_splits_what_drifted_apart(database_url: str) -> None:
    """The larger part keeps the id, the other one emerges; a renewal meanwhile is not lost."""
    async with opened(database_url) as database:
        store = PostgresDetection(database, MODEL)
        for seed, accounts in ((7, "abcde"), (8, "fgh")):
            for account in accounts:
                await ask(database, "split", account, vector(seed, noise=0.1, of=ord(account)))
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store)
            await use_case.restore(leadership)
            await steps(use_case, leadership)
        large, small = await shown(database, "split")
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE sightings SET emerging_pattern_id = $1 WHERE emerging_pattern_id = $2",
                large.emerging_pattern_id,
                small.emerging_pattern_id,
            )
        place = vector(8, noise=0.1, of=ord("h"))
        await ask(database, "split", "h", place, value=110.0, later=2 * RENEWAL)
        await corrected(database, store)
        again = await shown(database, "split")
    assert [cluster.sighting_count for cluster in again] == [5, 3]
    assert again[0].emerging_pattern_id == large.emerging_pattern_id
    assert again[1].total_potential_value == small.total_potential_value + 100


async def forget(database: Database, *accounts: str) -> None:
    """What ForgetAccount does to an account that only asked."""
    for account in accounts:
        await PostgresForgetting(database).end_forgetting(
            account, Forgotten(), uuid4(), datetime.now(UTC)
        )


async def led(database: Database, model: str = MODEL, k: int = 3) -> None:
    """A new leader restores, and steps until nothing is new."""
    store = PostgresDetection(database, model)
    async with store.lead() as leadership:
        assert leadership is not None
        use_case = detector(store, k=k)
        await use_case.restore(leadership)
        await steps(use_case, leadership)


async def test_what_faded_is_told_as_it_was(database_url: str) -> None:
    """What is left is of fewer than k accounts: not a number and not a word of it leaves the leader."""
    async with opened(database_url) as database:
        for account in "abc":
            await ask(database, "faded", account, vector(9, noise=0.2, of=ord(account)))
        await led(database)
        await forget(database, "c")
        await led(database)
        assert [change for change, _ in await changes(database, "faded")] == ["new", "faded"]
        new, faded = await told(database, "faded")
        async with database.connection() as connection:
            (row,) = await connection.fetch(
                "SELECT state, account_count, common_pattern FROM emerging_patterns"
                " WHERE pattern_type = 'faded'"
            )
    assert faded == new
    assert tuple(row) == ("forming", 2, "")


@pytest.mark.parametrize("restored", [True, False])
async def test_a_forgotten_account_counts_nowhere(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    restored: bool,
) -> None:
    """However many sightings it had, looked at or renewed: they are gone before anything is told."""
    kind = f"forgotten_{restored}".lower()
    began = minute(datetime.now(UTC))
    async with opened(database_url) as database:
        store = PostgresDetection(database, MODEL)
        for account in "abcd":
            await ask(database, kind, account, vector(10))
        for number in range(6):
            await ask(database, kind, "e", vector(10), action=f"offer {number} soaks")
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store)
            await use_case.restore(leadership)
            await steps(use_case, leadership)
            for number in range(3):
                action = f"offer {number} soaks"
                await ask(database, kind, "e", vector(10), action=action, later=2 * RENEWAL)
            await ask(database, kind, "e", vector(10), action="offer what nobody looked at")
            await forget(database, "e")
            # A step must take out more of them than it looks at otherwise.
            monkeypatch.setattr(detector_module, "BATCH", 2)
            if restored:
                use_case = detector(store)
                await use_case.restore(leadership)
            await use_case.step(leadership)
        first, *later = await told(database, kind)
        async with database.connection() as connection:
            left = await connection.fetchval(
                "SELECT count(*) FROM sightings WHERE account_key = ''"
            )
    assert (first.account_count, first.sighting_count) == (5, 10)
    assert [(c.account_count, c.sighting_count) for c in later] == [(4, 4)]
    assert later[0].first_seen_time >= began
    assert later[0].total_potential_value == 40.0
    assert left == 0


async def test_nothing_is_forgotten_amid_a_step(database_url: str) -> None:
    """ForgetAccount waits for the step, and the next one takes out what it left."""
    async with opened(database_url) as database:
        await led(database)
        async with PostgresDetection(database, MODEL).lead() as leadership:
            assert leadership is not None
            await ask(database, "amid", "e", vector(15))
            async with leadership.step() as step:
                forgetting = asyncio.create_task(forget(database, "e"))
                async with database.connection() as connection:
                    await waiting_for_a_lock(connection)
                assert not await step.forgotten(10)
                (seen,) = await step.pending(10)
            await forgetting
            async with database.connection() as connection:
                left = await connection.fetchrow(
                    "SELECT account_key, rendered, action FROM sightings"
                    " WHERE pattern_type = 'amid'"
                )
            async with leadership.step() as step:
                assert not await step.pending(10)
                (gone,) = await step.forgotten(10)
    assert seen.fact.account_key == "e"
    assert left is not None
    assert tuple(left) == ("", "", "")
    assert gone.family == (MODEL, "amid")


async def test_clusters_of_a_replaced_model_fade_at_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader of the new model ends them with all that is stored of them, a few sightings a step."""
    async with opened(database_url) as database:
        for account in "abcdef":
            await ask(database, "replaced", account, vector(11))
        await ask(database, "replaced", "alone", vector(111))
        await led(database)
        new = (await told(database, "replaced"))[0]
        await ask(database, "replaced", "late", vector(11))
        monkeypatch.setattr(rounds, "DISCARD", 2)
        store = PostgresDetection(database, "the-next-model")
        left = []
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store)
            await use_case.restore(leadership)
            goes_on = True
            while goes_on:
                goes_on = await use_case.step(leadership)
                left.append(await sightings_of(database, "replaced"))
                if len(left) == 1:
                    async with database.connection() as connection:
                        row = await connection.fetchrow(
                            "SELECT state, common_pattern, label, account_count"
                            "  FROM emerging_patterns WHERE id = $1",
                            new.emerging_pattern_id,
                        )
                    assert row is not None
                    assert tuple(row) == ("forming", "", "", 0)
        async with database.connection() as connection:
            clusters = await connection.fetchval(
                "SELECT count(*) FROM emerging_patterns WHERE pattern_type = 'replaced'"
            )
        assert [change for change, _ in await changes(database, "replaced")] == ["new", "faded"]
        assert (await told(database, "replaced"))[1] == new
        # What nobody has looked at waits for a leader of its model, or for the end of the window.
        await led(database)
        assert await shown(database, "replaced") == []
    assert clusters == 0
    assert (left[0], left[-1]) == (8, 1)
    assert all(before - after <= 2 for before, after in pairwise(left))


async def sightings_of(database: Database, pattern_type: str) -> int:
    """How many sightings of a type are stored."""
    async with database.connection() as connection:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM sightings WHERE pattern_type = $1", pattern_type
        )
    return count


class FailingIds:
    """Ids for clusters, which fail as often as told before each one. `made` is set by the last."""

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
        proven=Proven(min_similarity=0.95, min_lower_bound=0.99, min_accounts=3),
        k=3,
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
    """A store that tells when it was refused the lead."""

    def __init__(self, store: PostgresDetection) -> None:
        self._store = store
        self.refused = asyncio.Event()

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[PostgresLeadership | None]:
        async with self._store.lead() as leadership:
            yield leadership
        if leadership is None:
            self.refused.set()


async def test_small_renewals_are_told_once_they_add_up(database_url: str) -> None:
    """Each is a third of a minute after the last: subscribers hear of every third, not of none."""
    async with opened(database_url) as database:
        store = PostgresDetection(database, MODEL)
        third = RENEWAL / 3
        begin = minute(datetime.now(UTC)) + RENEWAL

        async def ask_at(account: str, thirds: float) -> None:
            later = begin + thirds * third - datetime.now(UTC)
            await ask(database, "adds_up", account, vector(17), later=later)

        await ask_at("oldest", -300)
        for number in range(9):
            await ask_at(str(number), number - 9.5)
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store)
            await use_case.restore(leadership)
            await steps(use_case, leadership)
            renewed = []
            for number in range(6):
                await ask_at(str(number), number + 0.5)
                await steps(use_case, leadership)
                renewed.append(len(await changes(database, "adds_up")))
        seen = [each.last_seen_time for each in await told(database, "adds_up")]
    assert renewed == [2, 2, 2, 3, 3, 3]
    assert seen == [begin - RENEWAL, begin, begin + RENEWAL]


async def test_no_word_of_fewer_than_k_accounts_is_told(database_url: str) -> None:
    """Not in the common pattern and not in the label, though the sentence is the most typical."""
    async with opened(database_url) as database:
        for account, action in (
            ("a", "offer the mayor a warm towel"),
            ("b", "offer the mayor a warm towel"),
            ("c", "offer guests a warm towel"),
        ):
            await ask(database, "said_by_few", account, vector(18), action=action)
        await led(database)
        (first,) = await told(database, "said_by_few")
        await ask(database, "said_by_few", "d", vector(18), action="offer the mayor a warm towel")
        await led(database)
        _, second = await told(database, "said_by_few")
    assert first.common_pattern == (
        "When day of week is Monday, offer … a warm towel (said by few, spa)."
    )
    assert first.label == "Said by few: day, monday, offer"
    assert second.common_pattern == (
        "When day of week is Monday, offer the mayor a warm towel (said by few, spa)."
    )
    assert second.label == "Offer the mayor a warm towel"


async def test_a_greater_k_holds_for_what_is_on_show_already(database_url: str) -> None:
    """The next leader looks at every word once, though nobody has seen the insight again."""
    async with opened(database_url) as database:
        for account in "abcdef":
            who = "the mayor" if account < "d" else "guests"
            action = f"offer {who} a warm towel"
            await ask(database, "k_was_raised", account, vector(19), action=action)
        await led(database)
        (before,) = await shown(database, "k_was_raised")
        await led(database, k=5)
        (after,) = await shown(database, "k_was_raised")
    assert "mayor" in before.common_pattern + before.label
    assert "mayor" not in after.common_pattern + after.label
    assert after.account_count == 6


async def test_the_first_look_goes_on_while_news_keep_coming(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few clusters a step, each of them once, though no step finds nothing new."""
    kinds = [f"looked_at_{n}" for n in range(5)]
    async with opened(database_url) as database:
        for kind in kinds:
            for account in "abcdef":
                who = "the mayor" if account < "d" else "guests"
                await ask(database, kind, account, vector(21), action=f"offer {who} a towel")
        await led(database)
        store = PostgresDetection(database, MODEL)
        monkeypatch.setattr(rounds, "LOOK", 2)
        monkeypatch.setattr(detector_module, "BATCH", 1)
        looked_at = recorded(monkeypatch)
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store, k=5)
            await use_case.restore(leadership)
            for number in range(200):
                await ask(database, "news_of_one", str(number), vector(1000 + number))
                assert await use_case.step(leadership)
                if all([len(await told(database, kind)) > 1 for kind in kinds]):
                    break
        for kind in kinds:
            before, after = await told(database, kind)
            assert "mayor" in before.common_pattern
            assert "mayor" not in after.common_pattern
    assert max(len(clusters) for clusters in looked_at) == 2
    assert len(set().union(*looked_at)) == sum(map(len, looked_at))


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[set[UUID]]:
    """The clusters that are compared with patterns from now on, step by step."""
    compared: list[set[UUID]] = []
    known = PostgresDetectionStep.known

    async def record(
        self: PostgresDetectionStep,
        centres: Mapping[UUID, tuple[Family, NDArray[np.float32]]],
        proven: Proven,
    ) -> Mapping[UUID, Known]:
        compared.append(set(centres))
        return await known(self, centres, proven)

    monkeypatch.setattr(PostgresDetectionStep, "known", record)
    return compared


async def prove(
    connection: Connection, pattern_type: str, place: NDArray[np.float32], accounts: int = 10
) -> UUID:
    """A pattern of so many accounts that is surely good."""
    pattern_id = uuid4()
    await connection.execute(
        """
        INSERT INTO network_patterns (id, pattern_type, business_category, embedding_model,
            pattern_embedding, context, action_template, occurrence_count, success_count,
            account_count, largest_account_occurrences, confidence_score, first_discovered)
        VALUES ($1, $2, 'spa', $3, $4, '{}', 'offer a package', 1000, 1000, $5, 10, 0.995, now())
        """,
        pattern_id,
        pattern_type,
        MODEL,
        place,
        accounts,
    )
    return pattern_id


async def test_a_sweep_compares_only_what_changed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing while no pattern changes, then the one cluster that a changed one may prove."""
    monkeypatch.setattr(rounds, "CHANGED", 2)
    async with opened(database_url) as database:
        for number in range(3):
            for account in "abc":
                await ask(database, "swept", account, vector(200 + number), action=f"do {number}")
        store = PostgresDetection(database, MODEL)
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store, sweep=timedelta(0))
            await use_case.restore(leadership)
            await steps(use_case, leadership)
            compared = recorded(monkeypatch)
            await steps(use_case, leadership)
            assert compared == []
            async with database.transaction() as connection:
                for number in range(300, 305):
                    await prove(connection, "swept", vector(number))
                proven = await prove(connection, "swept", vector(201, noise=0.1))
                await prove(connection, "of_another_type", vector(202))
            await steps(use_case, leadership)
        events = await told(database, "swept")
    (became,) = [each for each in events if each.promoted_pattern_id is not None]
    assert became.promoted_pattern_id == proven
    assert compared == [{became.emerging_pattern_id}]


async def test_a_pattern_of_a_transaction_that_ends_late_is_not_missed(database_url: str) -> None:
    """Sweeps go on while it is open, over patterns of transactions that began after it."""
    async with opened(database_url) as database:
        for account in "abc":
            await ask(database, "ends_late", account, vector(22))
        store = PostgresDetection(database, MODEL)
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store, sweep=timedelta(0))
            await use_case.restore(leadership)
            await steps(use_case, leadership)
            async with database.transaction() as slow:
                late = await prove(slow, "ends_late", vector(22))
                for _ in range(3):
                    async with database.transaction() as quick:
                        await prove(quick, "ends_early", vector(22))
                    await steps(use_case, leadership)
                assert len(await shown(database, "ends_late")) == 1
            await steps(use_case, leadership)
        _, became = await told(database, "ends_late")
    assert became.promoted_pattern_id == late


async def test_clusters_are_compared_in_statements_of_bounded_size(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are at once: the same is found as by one statement."""
    monkeypatch.setattr(novelty, "PAIRS", 5)
    async with opened(database_url) as database:
        async with database.transaction() as connection:
            for number in range(2):
                await prove(connection, "in_portions", vector(400 + number))
        centres = {uuid4(): ((MODEL, "in_portions"), vector(400 + n, noise=0.1)) for n in range(7)}
        centres[uuid4()] = ((MODEL, "of_no_pattern"), vector(400))
        proven = Proven(min_similarity=0.95, min_lower_bound=0.99, min_accounts=3)
        sizes: list[int] = []
        async with database.connection() as connection:
            connection.add_query_logger(lambda query: sizes.append(portion_of(query)))
            known = await nearest_known(connection, centres, proven)
    assert sorted(size for size in sizes if size) == [2, 2, 2, 2]
    assert [each.proven_pattern_id is not None for each in known.values()] == [True] * 2 + [
        False
    ] * 6
    assert [each.distance is None for each in known.values()] == [False] * 7 + [True]


def portion_of(query: LoggedQuery) -> int:
    """Clusters that a statement compares with patterns."""
    return len(query.args[0]) if "<=>" in query.query else 0


async def test_a_promoted_cluster_emerges_again_without_its_pattern(database_url: str) -> None:
    """When the pattern is deleted or unpublished; not when its lower bound dips."""
    async with opened(database_url) as database:
        await sight_and_prove(database, "deleted", "unpublished", "dipped")
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM network_patterns WHERE pattern_type = 'deleted'")
            await connection.execute(
                "UPDATE network_patterns SET account_count = 2 WHERE pattern_type = 'unpublished'"
            )
            await connection.execute(
                "UPDATE network_patterns SET confidence_score = 0.6 WHERE pattern_type = 'dipped'"
            )
        for kind in ("deleted", "unpublished", "dipped"):
            await ask(database, kind, "d", vector(23), later=2 * RENEWAL)
        await led(database)
        news = {
            kind: [change for change, _ in await changes(database, kind)]
            for kind in ("deleted", "unpublished", "dipped")
        }
        (again,) = await shown(database, "deleted")
    assert news == {
        "deleted": ["new", "promoted", "new"],
        "unpublished": ["new", "promoted", "new"],
        "dipped": ["new", "promoted"],
    }
    assert (again.account_count, again.promoted_pattern_id) == (4, None)
    assert again.label


async def sight_and_prove(database: Database, *kinds: str) -> None:
    """Clusters that emerged, and then became a pattern."""
    for kind in kinds:
        for account in "abc":
            await ask(database, kind, account, vector(23))
    await led(database)
    async with database.transaction() as connection:
        for kind in kinds:
            await prove(connection, kind, vector(23))
    await led(database)


async def test_a_statement_that_takes_too_long_is_counted(database_url: str) -> None:
    """The log and the count tell it from a database that is away; the process goes on, and so does the
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


async def test_a_full_pass_that_fails_costs_its_corrections_only(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often: the leader goes on detecting, and the next pass that succeeds corrects."""

    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    async with opened(database_url) as database:
        store = PostgresDetection(database, MODEL)
        await ask(database, "passes_fail", "a", vector(19))
        async with store.lead() as leadership:
            assert leadership is not None
            use_case = detector(store, full_pass=timedelta(microseconds=1))
            with monkeypatch.context() as patch:
                patch.setattr(full_pass, "recluster", fail)
                await use_case.restore(leadership)
                while use_case.failed_passes <= FAILURES:
                    await use_case.step(leadership)
                assert use_case.agreement is None
                for account in "bc":
                    await ask(database, "passes_fail", account, vector(19))
                await steps(use_case, leadership)
                assert len(await shown(database, "passes_fail")) == 1
            while use_case.failed_passes or use_case.agreement is None:
                await use_case.step(leadership)


async def test_a_cluster_keeps_no_sum_of_what_is_forgotten(database_url: str) -> None:
    """Neither before the leader has taken it out nor after; a new leader sums what is left anew."""
    async with opened(database_url) as database:
        for account in "abcd":
            await ask(database, "sum_forgotten", account, vector(20, noise=0.3, of=ord(account)))
        await led(database)
        await forget(database, "d")
        kept = "SELECT vector_sum, vector_count FROM emerging_patterns WHERE pattern_type = $1"
        async with database.connection() as connection:
            (row,) = await connection.fetch(kept, "sum_forgotten")
            assert tuple(row) == (None, 0)
            await led(database)
            (row,) = await connection.fetch(kept, "sum_forgotten")
    left = np.sum([vector(20, noise=0.3, of=ord(account)) for account in "abc"], axis=0)
    assert row["vector_count"] == 3
    assert to_array(row["vector_sum"]) == pytest.approx(left, abs=1e-5)
