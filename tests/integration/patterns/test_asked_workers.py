"""Which workers of a cluster a capture and the record of a question ask."""

from __future__ import annotations

import asyncpg
import pytest

from tests.integration.observations import (
    capture,
    groups_of,
    observation,
    opened,
    register,
    scope,
    vector,
)

pytestmark = pytest.mark.cluster

_ASKED = """
    SELECT query_execution_single_shard AS one, query_execution_multi_shard AS several
      FROM citus_stat_counters WHERE name = current_database()
"""
"""Statements that asked one part of the tables, and those that asked several."""


async def _counted(dsn: str) -> asyncpg.Record:
    connection = await asyncpg.connect(dsn)
    try:
        found = await connection.fetchrow(_ASKED)
    finally:
        await connection.close()
    assert found is not None
    return found


async def _count_statements(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(f"ALTER DATABASE {name} SET citus.enable_stat_counters = on")
    finally:
        await connection.close()


async def test_a_capture_asks_where_its_scope_is(database_of_its_own: str) -> None:
    """A capture that joins a pattern sends no statement to more than one part of the tables."""
    await _count_statements(database_of_its_own)
    async with opened(database_of_its_own) as database:
        accounts = [f"account-{n}" for n in range(5)]
        await register(database, *accounts)
        store = groups_of(database)
        place = vector(1)
        for account in accounts[1:]:
            await capture(store, observation(scope("upsell"), account, script="Hello."), place)
        before = await _counted(database_of_its_own)
        await capture(store, observation(scope("upsell"), accounts[0], script="Hello."), place)
    after = await _counted(database_of_its_own)
    assert after["several"] == before["several"]
    assert after["one"] > before["one"]


async def test_outcomes_that_wait_elsewhere_are_asked_for_where_they_are(
    database_of_its_own: str,
) -> None:
    """A capture that completes a step with outcomes of another scope asks that scope's worker, and no other."""
    await _count_statements(database_of_its_own)
    async with opened(database_of_its_own) as database:
        async with database.connection() as connection:
            await connection.execute("INSERT INTO evidence_settings (step) VALUES (3)")
        await register(database, "account")
        store = groups_of(database)
        for each in ("upsell", "upsell", "churn"):
            before = await _counted(database_of_its_own)
            await capture(store, observation(scope(each), "account"), vector(1))
        after = await _counted(database_of_its_own)
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT count(measured_day) FROM observations") == 3
    assert after["several"] == before["several"]
