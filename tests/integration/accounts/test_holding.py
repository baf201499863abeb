"""What the locks of accounts exclude, as rows of one server and as locks of a coordinator."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.postgres_server import PostgresServer

HOLD = "SELECT count(*) FROM hold_accounts(ARRAY['b', 'a'])"
REACT = "SELECT own_reactions(ARRAY['b', 'a'])"
OWN = "SELECT own_account('a')"
SETTLE = "SELECT settle_accounts(ARRAY['b', 'a'])"
LOCKS = HOLD, REACT, OWN, SETTLE
NAMES = "hold", "react", "own", "settle"

EXCLUDED = {
    frozenset({OWN, HOLD}),
    frozenset({OWN, REACT}),
    frozenset({OWN, SETTLE}),
    frozenset({OWN}),
    frozenset({REACT}),
    frozenset({REACT, SETTLE}),
}
"""The pairs that wait for each other; one alone waits for another of its kind."""

Pair = tuple["asyncpg.Connection[asyncpg.Record]", "asyncpg.Connection[asyncpg.Record]"]


@pytest.fixture(scope="module", params=["rows", "coordinator"])
async def locked_by(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, template_database: str
) -> AsyncIterator[str]:
    """A database with two accounts, where accounts are locked in one way or the other."""
    spread = request.param == "coordinator"
    if os.environ.get("KEEPER_TEST_CITUS_DSN") and not spread:
        pytest.skip("KEEPER_TEST_CITUS_DSN names a cluster, where no rows of accounts are locked")
    async with postgres_server.database(f"TEMPLATE {template_database}") as name:
        connection = await asyncpg.connect(postgres_server.url(name))
        try:
            await connection.execute(
                f"""
                CREATE OR REPLACE FUNCTION is_spread() RETURNS boolean LANGUAGE sql STABLE
                    AS 'SELECT {str(spread).lower()}'
                """
            )
            await connection.execute(
                """
                INSERT INTO accounts (account_key, business_category, joined_time, qualified)
                VALUES ('a', 'spa', now(), true), ('b', 'gym', now(), false)
                """
            )
        finally:
            await connection.close()
        yield postgres_server.url(name)


@pytest.fixture
async def two(locked_by: str) -> AsyncIterator[Pair]:
    """Two sessions, each in a transaction."""
    one, other = [await asyncpg.connect(locked_by) for _ in range(2)]
    try:
        async with one.transaction(), other.transaction():
            await other.execute("SET LOCAL lock_timeout = '50ms'")
            yield one, other
    finally:
        await one.close()
        await other.close()


async def _waits(two: Pair, held: str, wanted: str) -> bool:
    one, other = two
    await one.execute(held)
    try:
        # A savepoint, so that the transaction can end as it should.
        async with other.transaction():
            await other.execute(wanted)
    except asyncpg.LockNotAvailableError:
        return True
    return False


@pytest.mark.parametrize("held", LOCKS, ids=NAMES)
@pytest.mark.parametrize("wanted", LOCKS, ids=NAMES)
async def test_each_pair_waits_as_it_should(two: Pair, held: str, wanted: str) -> None:
    """Writes about an account run at once; a change of it waits for all, a reaction for other reactions."""
    assert await _waits(two, held, wanted) is (frozenset({held, wanted}) in EXCLUDED)


@pytest.mark.parametrize("held", LOCKS, ids=NAMES)
async def test_retention_passes_over_accounts_in_use(two: Pair, held: str) -> None:
    """Who would wait is left out, and the others are locked."""
    one, other = two
    await one.execute(held.replace("'b', 'a'", "'a'"))
    free = await other.fetchval("SELECT free_accounts(ARRAY['a', 'b', 'gone'])")
    assert set(free) == ({"b"} if held in {REACT, OWN} else {"a", "b"})


async def test_held_accounts_are_those_that_are_there(two: Pair) -> None:
    """With the category that each counts in, if it counts."""
    one, _ = two
    rows = await one.fetch("SELECT * FROM hold_accounts(ARRAY['gone', 'b', 'a', 'a'])")
    assert {tuple(row) for row in rows} == {("a", "spa"), ("b", None)}
