"""Versions of scopes, by which patterns in memory follow the tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from uuid import UUID

import asyncpg
import pytest

from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.patterns.pattern import PatternKey, Scope, scope_id
from keeper_grpc.storage.accounts.forgetting import PostgresForgetting
from keeper_grpc.storage.accounts.qualification import PostgresQualification
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.patterns.keys import find_pattern_key
from keeper_grpc.storage.patterns.versions import PATTERNS_CHANNEL, reset, touch
from keeper_grpc.storage.patterns.withdrawal import PostgresWithdrawal
from tests.e2e.waiting import SOON
from tests.integration.audited import audited
from tests.integration.locks import waiting_for_a_lock
from tests.integration.observations import (
    RULE,
    START,
    capture,
    groups_of,
    observation,
    opened,
    register,
    scope,
    vector,
)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on a database with three accounts, which its tests keep apart by types."""
    async with opened(database_url) as pool:
        await register(pool, "a", "b", "c")
        yield pool


async def made(database: Database, place: Scope, *accounts: str, seed: int = 1) -> PatternKey:
    """A pattern that these accounts captured."""
    for account in accounts:
        pattern_id = await capture(groups_of(database), observation(place, account), vector(seed))
    return PatternKey(place.scope_id, pattern_id)


async def versions(database: Database, place: Scope) -> tuple[int, int]:
    """The scope's version and the one of its last reset."""
    async with database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT version, reset_version FROM scopes WHERE scope_id = $1", place.scope_id
        )
    assert row is not None
    return row["version"], row["reset_version"]


async def version_of(database: Database, key: PatternKey) -> int:
    """The version of its scope at which the pattern last changed."""
    async with database.connection() as connection:
        found: int = await connection.fetchval(
            "SELECT version FROM pattern_versions WHERE scope_id = $1 AND pattern_id = $2", *key
        )
    return found


def test_a_scopes_number_is_of_its_type_and_category_alone() -> None:
    """It is stored with every row: another hash, or the model in it, would lose them."""
    assert scope_id("churn_prevention", "spa") == -2290487587833610011
    assert Scope("churn_prevention", "spa", "a").scope_id == scope_id("churn_prevention", "spa")
    assert scope_id("ab", "c") != scope_id("a", "bc")


async def test_each_capture_raises_the_version_of_its_scope_and_pattern(
    database: Database,
) -> None:
    """And of no other: who has seen a version reads what has a later one."""
    place, elsewhere = scope("raises"), scope("raises_elsewhere")
    first = await made(database, place, "a")
    other = await made(database, place, "a", seed=2)
    apart = await made(database, elsewhere, "a")
    before = await versions(database, place), await versions(database, elsewhere)
    await made(database, place, "b")
    (seen, reset_at), unmoved = await versions(database, place), await versions(database, elsewhere)
    assert (seen, reset_at) == (before[0][0] + 1, before[0][1])
    assert unmoved == before[1]
    assert await version_of(database, first) == seen
    assert await version_of(database, other) < seen
    assert await version_of(database, apart) == unmoved[0]


async def test_what_an_operator_takes_back_is_a_change(database: Database) -> None:
    """Retirement of a pattern and withdrawal of a script, and the undoing of both; nothing where nothing changes."""
    place = scope("taken_back")
    told = observation(place, "a", script="Come in, {name}")
    key = PatternKey(place.scope_id, await capture(groups_of(database), told, vector(1)))
    store = PostgresWithdrawal(database)
    version, _ = await versions(database, place)

    def event() -> AuditEvent:
        return audited("taken_back", START)

    for undo in (False, True):
        assert await store.retire(key.pattern_id, event(), undo=undo)
        assert await store.withdraw_script(key.pattern_id, "Come in, {name}", event(), undo=undo)
        version += 2
        assert await versions(database, place) == (version, 0)
        assert not await store.retire(key.pattern_id, event(), undo=undo)
        assert await versions(database, place) == (version, 0)
    assert await version_of(database, key) == version


async def test_who_counts_is_a_change_of_every_pattern_that_it_is_part_of(
    database: Database,
) -> None:
    """At once, not when the totals follow: shares are read by owners that count."""
    place, elsewhere = scope("counting"), scope("counting_elsewhere")
    mine = [await made(database, where, "a") for where in (place, elsewhere)]
    others = await made(database, place, "b", seed=2)
    before = [await version_of(database, key) for key in (*mine, others)]
    for qualified in (False, True):
        await PostgresQualification(database).qualify("a", qualified=qualified)
    after = [await version_of(database, key) for key in (*mine, others)]
    assert [now > then for now, then in zip(after, before, strict=True)] == [True, True, False]


async def test_a_pattern_that_is_forgotten_resets_its_scope(database: Database) -> None:
    """There is no row left that a version could stand with; one that is left is a change like any other."""
    place = scope("forgotten")
    alone = await made(database, place, "a")
    shared = await made(database, place, "a", "b", seed=2)
    store = PostgresForgetting(database)

    async def forget(key: PatternKey) -> None:
        assert await store.forget_in_pattern(key, "a", None, RULE, model="", settle=False)

    version, _ = await versions(database, place)
    await forget(shared)
    assert await versions(database, place) == (version + 1, 0)
    assert await version_of(database, shared) == version + 1
    await forget(alone)
    assert await versions(database, place) == (version + 2, version + 2)
    async with database.connection() as connection:
        assert await find_pattern_key(connection, alone.pattern_id) is None


async def test_patterns_that_speak_in_the_words_of_another_change_with_it(
    database: Database,
) -> None:
    """Also in another scope; and when that one is deleted, they are to be read anew."""
    place, elsewhere = scope("speaking"), scope("spoken_for")
    source = await made(database, place, "a")
    speaks = await made(database, elsewhere, "b")
    async with database.transaction() as connection:
        await connection.execute(
            """
            UPDATE network_patterns SET worded_from_scope_id = $3, worded_from = $4
             WHERE scope_id = $1 AND id = $2
            """,
            *speaks,
            *source,
        )
    before, _ = await versions(database, elsewhere)
    async with database.transaction() as connection:
        await touch(connection, [source])
    assert await versions(database, elsewhere) == (before + 1, 0)
    assert await version_of(database, speaks) == before + 1
    await PostgresForgetting(database).forget_in_pattern(
        source, "a", None, RULE, model="", settle=False
    )
    assert await versions(database, elsewhere) == (before + 2, before + 2)


async def test_a_version_is_not_seen_before_an_earlier_one(database: Database) -> None:
    """Of two changes of a scope the later waits for the earlier to commit: none appears behind a reader's back."""
    place = scope("in_order")
    first, second = [await made(database, place, "a", seed=seed) for seed in (1, 2)]
    start, _ = await versions(database, place)

    async def change(key: PatternKey) -> None:
        async with database.transaction() as connection:
            await touch(connection, [key])

    async with database.connection() as watching, database.transaction() as holding:
        await touch(holding, [first])
        later = asyncio.create_task(change(second))
        await waiting_for_a_lock(watching)
        assert await versions(database, place) == (start, 0)
    async with asyncio.timeout(SOON):
        await later
    assert await version_of(database, first) == start + 1
    assert await version_of(database, second) == start + 2


async def test_listeners_are_woken_when_a_change_has_committed(
    database: Database, database_url: str
) -> None:
    """With the scope that changed; once for all patterns of one transaction."""
    place, elsewhere = scope("woken"), scope("woken_elsewhere")
    keys = [await made(database, where, "a") for where in (place, elsewhere)]
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(database_url)
    try:
        await listener.add_listener(PATTERNS_CHANNEL, lambda *notice: heard.put_nowait(notice[-1]))
        async with database.transaction() as connection:
            raised = await touch(connection, [*keys, *keys])
        assert raised == {
            where.scope_id: (await versions(database, where))[0] for where in (place, elsewhere)
        }
        async with database.transaction() as connection:
            raised = await reset(connection, [place.scope_id])
        assert raised == {place.scope_id: (await versions(database, place))[1]}
        async with asyncio.timeout(SOON):
            woken = [await heard.get() for _ in range(3)]
    finally:
        await listener.close()
    assert sorted(woken[:2]) == sorted(str(key.scope_id) for key in keys)
    assert woken[2] == str(place.scope_id)
    assert heard.empty()


async def test_everything_of_a_pattern_stands_under_its_scope(database: Database) -> None:
    """Every table with a pattern's rows can be divided by scopes: each row is in the pattern's. Sums of archived advice are by account."""
    place = scope("divided")
    key = await made(database, place, "a", "b")
    async with database.connection() as connection:
        tables = [
            row["table"]
            for row in await connection.fetch(
                """
                SELECT c.relname AS table FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                 WHERE c.relkind = 'r' AND a.attname = 'pattern_id' AND NOT a.attisdropped
                   AND c.relnamespace = current_schema()::regnamespace
                   AND c.relname NOT IN ('audit_events', 'enhancements', 'archived_choices', 'archived_reactions',
                                         'archived_steps', 'archived_transfers')
                """
            )
        ]
        assert {"pattern_accounts", "pattern_facets", "observations", "pattern_versions"} <= {
            *tables
        }
        scopes: Mapping[str, set[int]] = {
            table: {
                row["scope_id"]
                for row in await connection.fetch(
                    f"SELECT scope_id FROM {table} WHERE pattern_id = $1",  # noqa: S608 - of the catalog
                    key.pattern_id,
                )
            }
            for table in tables
        }
    assert all(found <= {place.scope_id} for found in scopes.values()), scopes


async def test_an_unknown_id_has_no_key(database: Database) -> None:
    """A pattern's own id has; a merged one's leads to where its evidence went."""
    place = scope("keys")
    key = await made(database, place, "a")
    merged = UUID(int=7)
    async with database.connection() as connection:
        assert await find_pattern_key(connection, key.pattern_id) == key
        assert await find_pattern_key(connection, merged) is None
        await connection.execute(
            "INSERT INTO merged_patterns (scope_id, pattern_id, into_id) VALUES ($1, $2, $3)",
            key.scope_id,
            merged,
            key.pattern_id,
        )
        assert await find_pattern_key(connection, merged) == key
