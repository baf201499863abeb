"""The list of outcomes that wait to be measured with the next ones of their accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from keeper_grpc.domain.insight import Outcome
from keeper_grpc.storage.accounts.standing import note_standing, own_standing
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.metrics.measuring import delete_outcomes
from tests.integration.observations import (
    capture,
    groups_of,
    observation,
    opened,
    register,
    scope,
    vector,
)

STEP = 3


@pytest.fixture
async def database(database_of_its_own: str) -> AsyncIterator[Database]:
    """A database in which outcomes are measured by threes, and an account of spas."""
    async with opened(database_of_its_own) as opened_database:
        async with opened_database.connection() as connection:
            await connection.execute("INSERT INTO evidence_settings (step) VALUES ($1)", STEP)
        await register(opened_database, "account")
        yield opened_database


async def _say(database: Database, *pattern_types: str, final: bool = True) -> None:
    for each in pattern_types:
        outcome = Outcome(success=True, final=final)
        await capture(
            groups_of(database), observation(scope(each), "account", outcome=outcome), vector(1)
        )


async def _waiting(database: Database) -> list[int]:
    """The scopes of what waits, which are those that the ledger says."""
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT scope_id FROM waiting_outcomes ORDER BY scope_id")
        listed = await connection.fetch(
            "SELECT scope_id FROM observations WHERE measured_day IS NULL AND final ORDER BY 1"
        )
    assert rows == listed
    return [row["scope_id"] for row in rows]


async def test_outcomes_wait_until_their_step_is_whole(database: Database) -> None:
    """Two of different scopes wait, and none once there are three."""
    await _say(database, "upsell", "churn")
    assert set(await _waiting(database)) == {scope(each).scope_id for each in ("upsell", "churn")}
    await _say(database, "churn")
    assert await _waiting(database) == []
    await _say(database, "upsell")
    assert await _waiting(database) == [scope("upsell").scope_id]


async def test_an_interim_outcome_waits_for_its_final_one(database: Database) -> None:
    """It is of no step, and so not in the list."""
    await _say(database, "upsell", final=False)
    assert await _waiting(database) == []


async def test_a_deleted_outcome_waits_no_more(database: Database) -> None:
    """Its row goes with it."""
    await _say(database, "upsell", "churn")
    async with database.transaction() as connection:
        place = scope("churn").scope_id
        gone = await connection.fetchval("SELECT id FROM observations WHERE scope_id = $1", place)
        await delete_outcomes(connection, [gone])
    assert await _waiting(database) == [scope("upsell").scope_id]


async def test_what_an_account_did_waits_again_when_it_ceases_to_count(
    database: Database,
) -> None:
    """All of it, until the account counts again."""
    await _say(database, *["upsell"] * (STEP + 1))
    for qualified, waiting in ((False, STEP + 1), (True, 1)):
        async with database.transaction() as connection:
            await own_standing(connection, "account")
            await connection.execute("UPDATE accounts SET qualified = $1", qualified)
            await note_standing(connection, "account")
        assert len(await _waiting(database)) == waiting
