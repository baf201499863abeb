from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from keeper_grpc.domain.emerging.model import RENEWAL
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging.detection import PostgresDetection
from keeper_grpc.storage.emerging.rows import COLUMNS
from keeper_grpc.usecases.emerging import full_pass
from keeper_grpc.usecases.emerging.detector import FAILURES
from keeper_grpc.usecases.emerging.full_pass import Agreement
from tests.integration.emerging.detecting import ask, changes, detector, shown, steps
from tests.integration.observations import (
    MODEL,
    opened,
    vector,
)


async def tear(database: Database, pattern_type: str, keep: int) -> UUID:
    """Leave a cluster its first `keep` sightings, and give the others to a copy, as drift might.

    Subscribers know the copy: what they never heard of does not fade for them.
    """
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
            INSERT INTO emerging_events (emerging_pattern_id, change, state, created_at)
            SELECT $1::uuid, change, jsonb_set(state, '{id}', to_jsonb($1::uuid)), created_at
              FROM emerging_events WHERE state->>'pattern_type' = $2
            """,
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
