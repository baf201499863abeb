"""Scopes that outgrow exact search get an approximate index, and enhancing uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest

from keeper_grpc.domain.advice.enhancement import Asked
from keeper_grpc.domain.advice.ranking import Requirements
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.storage.advice.candidates import ANN_CANDIDATES, PostgresCandidates
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.locks import AdvisoryLock, try_session_lock
from keeper_grpc.storage.patterns.ann_indexes import PostgresAnnIndexes
from keeper_grpc.storage.patterns.versions import open_scope
from tests.e2e.waiting import SOON

SCOPE = Scope("churn_prevention", "spa", "test/1")
SMALL = Scope("churn_prevention", "gym", "test/1")
ANY = Requirements(min_similarity=-1.0, rule=PublicationRule(), min_occurrences=1)


PLANNED_HERE = pytest.mark.one_server(
    "workers choose and count their own indexes, whatever the session is set to"
)


@pytest.fixture(scope="module")
async def pool(database_url: str) -> AsyncIterator[Database]:
    """A pool on a database with 300 patterns in one scope and 3 in another."""
    database = await Database.open(
        database_url, pool_size=4, acquire_timeout=SOON, statement_timeout=SOON
    )
    vectors = np.random.default_rng(7).normal(size=(303, 1536)).astype(np.float32)
    async with database.transaction() as connection:
        for place in (SCOPE, SMALL):
            await open_scope(connection, place)
        await insert(connection, SCOPE, vectors[:300])
        await insert(connection, SMALL, vectors[300:])
    yield database
    await database.close()


async def insert(
    connection: Connection, scope: Scope, vectors: Iterable[np.ndarray], accounts: int = 3
) -> None:
    """Patterns of so many accounts."""
    await connection.executemany(
        """
        INSERT INTO network_patterns (id, scope_id, pattern_type, business_category, embedding_model,
                                      pattern_embedding, context, action_template, shown_action,
                                      first_discovered, account_count)
        VALUES ($1, $2, $3, $4, $5, $6, '{}', 'Call the guest', 'Call the guest', now(), $7)
        """,
        [
            (
                uuid4(),
                scope.scope_id,
                scope.pattern_type,
                scope.business_category,
                scope.embedding_model,
                vector,
                accounts,
            )
            for vector in vectors
        ],
    )


def question(seed: int) -> np.ndarray:
    """Where a random question lies."""
    return np.random.default_rng(seed).normal(size=1536).astype(np.float32)


async def nearest(pool: Database, indexes: PostgresAnnIndexes, seed: int) -> list[str]:
    """Ids of what is nearest to a random question."""
    vector = question(seed)
    patterns = PostgresCandidates(
        pool, indexes, half_life=timedelta(days=180), clock=lambda: datetime.now(UTC)
    )
    candidates = await patterns.candidates(Asked(SCOPE, vector, "nobody", "nobody", {}), ANY, 10)
    return [str(candidate.pattern.pattern_id) for candidate in candidates]


async def test_only_the_scope_that_outgrew_exact_search_is_indexed(pool: Database) -> None:
    """An index is built for the large scope, once, and not for the small one."""
    indexes = PostgresAnnIndexes(pool)
    assert await indexes.maintain(scope_size=300) == 1
    assert indexes.covers(SCOPE)
    assert not indexes.covers(SMALL)
    assert await indexes.maintain(scope_size=300) == 0


async def test_an_approximate_answer_is_the_exact_one_at_this_size(pool: Database) -> None:
    """With and without the index the same patterns come back, in the same order."""
    indexes = PostgresAnnIndexes(pool)
    exact = [await nearest(pool, indexes, seed) for seed in range(5)]
    await indexes.maintain(scope_size=300)
    approximate = [await nearest(pool, indexes, seed) for seed in range(5)]
    assert all(len(answer) == 10 for answer in exact)
    assert approximate == exact


async def test_what_is_withheld_crowds_nothing_out(pool: Database) -> None:
    """More patterns of one account than the index is asked for, all nearer: the published ones are found as before."""
    indexes = PostgresAnnIndexes(pool)
    await indexes.maintain(scope_size=300)
    before = await nearest(pool, indexes, 11)
    noise = np.random.default_rng(12).normal(scale=0.01, size=(ANN_CANDIDATES + 50, 1536))
    async with pool.transaction() as connection:
        await insert(connection, SCOPE, (question(11) + noise).astype(np.float32), accounts=1)
    assert await nearest(pool, indexes, 11) == before


@PLANNED_HERE
async def test_the_planner_uses_the_index_for_the_approximate_form(pool: Database) -> None:
    """The inner query of the approximate search is an index scan on the scope's own index."""
    await PostgresAnnIndexes(pool).maintain(scope_size=300)
    async with pool.transaction() as connection:
        # 300 rows are too few for an index to pay; what is asked is whether it can be used at all.
        await connection.execute("SET LOCAL enable_sort = off")
        plan = await connection.fetch(
            """
            EXPLAIN SELECT id FROM network_patterns
             WHERE scope_id = ANY($1::bigint[]) AND embedding_model = $2 AND account_count >= 3
             ORDER BY pattern_embedding <=> $3 LIMIT 200
            """,
            [SCOPE.scope_id],
            SCOPE.embedding_model,
            np.ones(1536, np.float32),
        )
    assert any("network_patterns_ann_" in row[0] for row in plan)


@PLANNED_HERE
async def test_each_approximate_search_is_planned_for_its_scope(
    database_url: str, pool: Database
) -> None:
    """Also where the session keeps plans: the index is of one scope, and a kept plan is of none."""
    await PostgresAnnIndexes(pool).maintain(scope_size=300)
    one = await Database.open(
        database_url, pool_size=1, acquire_timeout=SOON, statement_timeout=SOON
    )
    try:
        indexes = PostgresAnnIndexes(one)
        await indexes.maintain(scope_size=300)
        async with one.connection() as connection:
            # 300 rows are too few for an index to pay, and a few searches to keep a plan by itself.
            await connection.execute(
                "SET enable_sort = off; SET plan_cache_mode = force_generic_plan"
            )
            before = await scans(connection)
        await nearest(one, indexes, 3)
        async with one.connection() as connection:
            assert await scans(connection) > before
    finally:
        await one.close()


async def scans(connection: Connection) -> int:
    """How often the approximate indexes have been read."""
    await connection.execute("SELECT pg_stat_force_next_flush()")
    found: int = await connection.fetchval(
        "SELECT sum(idx_scan) FROM pg_stat_user_indexes WHERE indexrelname LIKE 'network_patterns_ann_%'"
    )
    return found


async def test_maintenance_leaves_the_work_to_the_one_who_does_it(pool: Database) -> None:
    """While another process holds the maintenance lock, nothing is built."""
    async with (
        pool.connection() as other,
        try_session_lock(other, AdvisoryLock.MAINTENANCE) as held,
    ):
        assert held
        assert await PostgresAnnIndexes(pool).maintain(scope_size=1) == 0
