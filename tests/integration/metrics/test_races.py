"""What is counted while an account is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from keeper_grpc.domain.accounts.forgetting import Forgotten, Tombstone
from keeper_grpc.domain.patterns.pattern import scope_id
from keeper_grpc.storage.accounts.accounts import PostgresAccounts
from keeper_grpc.storage.accounts.forgetting import PostgresForgetting
from keeper_grpc.storage.metrics.inputs import PostgresMetrics
from tests.integration.audited import audited
from tests.integration.locks import waiting_for_a_lock
from tests.integration.metrics.ledger import Ledger
from tests.integration.observations import opened

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ASKED: Mapping[str, Any] = {
    "held_out": False,
    "base": 0.5,
    "expected": 0.7,
    "deviation": 0.1,
    "at": NOW,
}
OUTCOME: Mapping[str, Any] = {"success": True, "revenue": 5.0, "retained": None, "at": NOW}


@pytest.fixture
async def ledgers(database_url: str) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """Two connections of their own to an empty ledger."""
    one, other = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        await Ledger(one).clear()
        yield Ledger(one), Ledger(other)
    finally:
        await one.close()
        await other.close()


async def known(ledger: Ledger) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Two spas, of which the first has asked, and the pattern that gave it advice."""
    accounts = [{"key": f"key-{n}", "category": "spa"} for n in range(2)]
    for account in accounts:
        await ledger.account(account["key"], "spa", NOW)
    pattern_id = await ledger.pattern("spa", NOW, NOW, accounts=3, occurrences=3)
    pattern = {"id": pattern_id, "category": "spa"}
    await ledger.enhancement(accounts[0], pattern, ASKED)
    return accounts, pattern


async def test_advice_that_commits_during_a_recount_of_its_pattern_is_not_lost(
    ledgers: tuple[Ledger, Ledger],
) -> None:
    """Another account is given the pattern; before that commits, the first one is forgotten."""
    asking, forgetting = ledgers
    accounts, pattern = await known(asking)
    async with asking.connection.transaction():
        enhancement = await asking.enhancement(accounts[1], pattern, ASKED)
        gone = asyncio.ensure_future(forgetting.forget("key-0"))
        await waiting_for_a_lock(asking.connection)
    await gone
    await asking.observation(accounts[1], OUTCOME, pattern=pattern["id"], enhancement=enhancement)
    row = await asking.connection.fetchrow("SELECT outcomes, successes FROM pattern_advice")
    assert row is not None
    assert tuple(row) == (1, 1)
    assert await asking.connection.fetchval("SELECT rebuild_measures()") == 0


async def test_an_outcome_during_a_registration_is_judged_by_the_time_that_it_sets(
    database_url: str, ledgers: tuple[Ledger, Ledger]
) -> None:
    """The account succeeds at noon; before that commits, somebody says that it joined at one."""
    ledger, _ = ledgers
    accounts, _pattern = await known(ledger)
    await ledger.connection.execute("UPDATE accounts SET registered = false")
    async with opened(database_url) as database:
        async with ledger.connection.transaction():
            await ledger.observation(accounts[0], OUTCOME, pattern=None, enhancement=None)
            registering = asyncio.create_task(
                PostgresAccounts(database).register_known(
                    "key-0", NOW + timedelta(hours=1), None, audited()
                )
            )
            await waiting_for_a_lock(ledger.connection)
        await registering
    assert (
        await ledger.connection.fetchval(
            "SELECT first_success_time FROM account_milestones WHERE account_key = 'key-0'"
        )
        is None
    )
    assert await ledger.connection.fetchval("SELECT rebuild_measures()") == 0


async def test_the_advice_of_a_deleted_pattern_goes_with_it(
    ledgers: tuple[Ledger, Ledger],
) -> None:
    """What its advice came to is still counted by day, but of no pattern any more."""
    ledger, _ = ledgers
    accounts, pattern = await known(ledger)
    enhancement = await ledger.enhancement(accounts[1], pattern, ASKED)
    await ledger.observation(accounts[1], OUTCOME, pattern=None, enhancement=enhancement)
    await ledger.connection.execute("DELETE FROM network_patterns")
    assert await ledger.connection.fetchval("SELECT count(*) FROM pattern_advice") == 0
    assert await ledger.connection.fetchval("SELECT rebuild_measures()") == 0
    assert (
        await ledger.connection.fetchval("SELECT sum(advised_outcomes) FROM current_measures") == 1
    )


async def test_an_account_of_many_questions_is_forgotten_in_one_statement_each(
    ledgers: tuple[Ledger, Ledger],
) -> None:
    """Its share is taken out by day, not question by question: a hot loop asks thousands of times."""
    ledger, _ = ledgers
    accounts, pattern = await known(ledger)
    for _ in range(50):
        await ledger.enhancement(accounts[0], pattern, ASKED)
    before = await ledger.connection.fetchval("SELECT count(*) FROM measure_changes")
    await ledger.forget("key-0")
    after = await ledger.connection.fetchval("SELECT count(*) FROM measure_changes")
    assert after - before == 1
    assert await ledger.connection.fetchval("SELECT rebuild_measures()") == 0


async def test_accounts_that_are_forgotten_at_once_do_not_deadlock(
    ledgers: tuple[Ledger, Ledger], database_url: str
) -> None:
    """One deletes the pattern that the other was advised by: its advice is locked before anything."""
    ledger, watching = ledgers
    accounts, pattern = await known(ledger)
    async with opened(database_url) as database:
        store = PostgresForgetting(database)
        transaction = ledger.connection.transaction()
        await transaction.start()
        # As forget_in_pattern: the pattern's advice first, the pattern itself after.
        await ledger.connection.execute(
            "SELECT recount_advice($1, $2, $3)",
            [scope_id("pricing", "spa")],
            [pattern["id"]],
            ["spa"],
        )
        ending = asyncio.ensure_future(
            store.end_forgetting(
                accounts[0]["key"], Forgotten(), audited("forget_account"), Tombstone("t", NOW)
            )
        )
        await waiting_for_a_lock(watching.connection)
        await ledger.connection.execute("DELETE FROM network_patterns WHERE id = $1", pattern["id"])
        await transaction.commit()
        assert await ending is not None
    assert await ledger.connection.fetchval("SELECT rebuild_measures()") == 0


async def test_a_change_that_commits_beside_an_older_transaction_makes_another_version(
    ledgers: tuple[Ledger, Ledger], database_url: str
) -> None:
    """It wrote before the look and commits after it, and what has been open for longer stays open."""
    writing, older = ledgers
    accounts, _ = await known(writing)
    async with opened(database_url) as database, older.connection.transaction():
        await older.connection.execute("SELECT pg_current_xact_id()")
        store = PostgresMetrics(database)
        async with writing.connection.transaction():
            await writing.observation(accounts[0], OUTCOME, pattern=None, enhancement=None)
            under_way = await store.version()
        committed = await store.version()
        await writing.account("key-2", "spa", NOW)
        registered = await store.version()
        assert len({under_way, committed, registered}) == 3
