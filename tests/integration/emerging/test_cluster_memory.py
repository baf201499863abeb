from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID, uuid4

import numpy as np
import pytest

from keeper_grpc.domain.emerging.figures import minute
from keeper_grpc.domain.emerging.model import RENEWAL
from keeper_grpc.domain.emerging.novelty import Known
from keeper_grpc.storage.database import to_array
from keeper_grpc.storage.emerging.detection import (
    PostgresDetection,
    PostgresLeadership,
)
from keeper_grpc.storage.emerging.detection_step import PostgresDetectionStep
from keeper_grpc.usecases.emerging import detector as detector_module
from tests.integration.emerging.detecting import (
    ask,
    changes,
    detector,
    forget,
    led,
    shown,
    sight,
    steps,
    told,
)
from tests.integration.locks import waiting_for_a_lock
from tests.integration.observations import (
    MODEL,
    opened,
    vector,
)


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
                    await step.add_clusters({cluster: seen[0].family})
                    await step.assign({s.sighting_id: (cluster, s.fact.seen_time) for s in seen})
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
                await step.add_clusters({cluster: mine[0].family})
                await step.assign({s.sighting_id: (cluster, s.fact.seen_time) for s in mine})
                await step.keep_sums({cluster: (3 * vector(1), 3)})
        async with PostgresDetection(database, MODEL).lead() as leadership:
            assert leadership is not None
            kept = {c.cluster_id: c async for c in leadership.clusters()}
            anew = {c.cluster_id: c async for c in leadership.summed([cluster])}
        assert anew.keys() == {cluster}
        for restored in (kept, anew):
            assert restored[cluster].count == 3
            assert restored[cluster].vector_sum == pytest.approx(3 * vector(1), abs=1e-5)


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
    """The next leader restores the memory without reading a vector: no event follows until the next change."""

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


@pytest.mark.parametrize("restored", [True, False])
async def test_a_forgotten_account_counts_nowhere(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    restored: bool,
) -> None:
    """However many sightings it had, processed or renewed, they are gone before any event."""
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


async def test_nothing_is_forgotten_during_a_step(database_url: str) -> None:
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
    assert seen.fact.owner_key == "e"
    assert left is not None
    assert tuple(left) == ("", "", "")
    assert gone.family == (MODEL, "amid")


async def test_a_cluster_keeps_no_sum_of_what_is_forgotten(database_url: str) -> None:
    """Neither before nor after the leader has removed it; a new leader sums the remaining sightings again."""
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


async def test_calls_renew_sightings_while_their_clusters_are_described(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call does not wait for the detector, however long that compares; the next step takes the renewal up."""
    async with opened(database_url) as database:
        for account in "abc":
            await ask(database, "renewed_amid", account, vector(24))
        known = PostgresDetectionStep.known
        renewed: list[str] = []

        async def compare(self: PostgresDetectionStep, *compared: Any) -> Mapping[UUID, Known]:
            if not renewed:
                renewed.append("a")
                await ask(database, "renewed_amid", "a", vector(24), later=2 * RENEWAL)
            return await known(self, *compared)

        monkeypatch.setattr(PostgresDetectionStep, "known", compare)
        async with PostgresDetection(database, MODEL).lead() as leadership:
            assert leadership is not None
            use_case = detector(PostgresDetection(database, MODEL))
            await use_case.restore(leadership)
            await use_case.step(leadership)
            (before,) = await shown(database, "renewed_amid")
            async with leadership.step() as step:
                waiting = [each for each in await step.pending(10) if each.cluster_id is not None]
            await steps(use_case, leadership)
        (after,) = await shown(database, "renewed_amid")
    assert renewed
    assert [each.fact.owner_key for each in waiting] == ["a"]
    assert (before.sighting_count, after.sighting_count) == (3, 3)
    assert after.last_seen_time > before.last_seen_time
