"""Published patterns in memory: never older than a second, never more than there is room for."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest

from keeper_grpc.domain.advice.enhancement import Asked
from keeper_grpc.domain.advice.published import PublishedScope, View
from keeper_grpc.domain.advice.ranking import Requirements
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.domain.evidence.evidence import recency_weight
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.storage.accounts.accounts import PostgresAccounts
from keeper_grpc.storage.accounts.qualification import PostgresQualification
from keeper_grpc.storage.advice.published.following import FollowPublished
from keeper_grpc.storage.advice.published.memory import OLDEST, PublishedMemory
from keeper_grpc.storage.advice.published.versions import scope_versions
from keeper_grpc.storage.database import Change, Database
from keeper_grpc.storage.patterns.versions import reset
from tests.integration.audited import audited
from tests.integration.locks import waiting_for_a_lock
from tests.integration.observations import (
    MODEL,
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

ACCOUNTS = ("one", "two", "three", "four")
ACTION = "offer a package"
MEGABYTE = 2**20


class Clock:
    """A process's time, which passes when the test lets it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@asynccontextmanager
async def following(
    database: Database, *, limit: int = 64 * MEGABYTE, clock: Clock | None = None
) -> AsyncIterator[PublishedMemory]:
    """A process's memory, which follows the database and is told of what is committed on this pool."""
    memory = PublishedMemory(database, k=RULE.k, limit=limit, now=clock or time.monotonic)
    database.on_change(memory.committed)
    task = asyncio.create_task(FollowPublished(database, memory).run())
    try:
        yield memory
    finally:
        task.cancel()
        await asyncio.wait([task])
        await memory.aclose()


async def loaded(memory: PublishedMemory, place: Scope) -> PublishedScope:
    """The scope's patterns, as soon as memory has them."""
    while (patterns := await memory.fresh(place)) is None:  # noqa: ASYNC110 - other tasks load it
        await asyncio.sleep(0.01)
    return patterns


def counted(patterns: PublishedScope, place: Scope, viewer: str = "newcomer") -> dict[UUID, int]:
    """The trials of each published pattern, as this account sees them."""
    asked = Asked(place, vector(0), viewer, viewer, {})
    weight = recency_weight(START, timedelta(days=10_000))
    found = patterns.candidates(
        asked,
        View.of(asked.owner_key, asked.conditions, RULE, weight),
        Requirements(-1.0, RULE),
        100,
    )
    return {
        one.pattern.pattern_id: one.pattern.evidence.trials
        for one in found
        if not one.pattern.withheld(RULE)
    }


async def seen(memory: PublishedMemory, place: Scope, expected: dict[UUID, int]) -> None:
    """Wait until memory answers so."""
    while counted(await loaded(memory, place), place) != expected:  # noqa: ASYNC110 - others follow
        await asyncio.sleep(0.01)


async def teach(database: Database, place: Scope, seed: int = 0, trials: int = 1) -> UUID:
    """An outcome or more of each of the accounts."""
    for account in ACCOUNTS:
        for _ in range(trials):
            found = await capture(
                groups_of(database), observation(place, account, action=ACTION), vector(seed)
            )
    return found


@pytest.fixture
async def database(database_of_its_own: str) -> AsyncIterator[Database]:
    """A pool on a database of the test's own, where the accounts are known."""
    async with opened(database_of_its_own) as database:
        await register(database, *ACCOUNTS)
        yield database


async def test_what_this_process_commits_is_in_its_next_answer(database: Database) -> None:
    """Each capture, without a pause, also the first of a scope that nobody had a pattern in."""
    async with following(database) as memory:
        first = scope("first")
        assert counted(await loaded(memory, first), first) == {}
        for trials in (1, 2, 3):
            pattern_id = await teach(database, first)
            patterns = await loaded(memory, first)
            assert counted(patterns, first) == {pattern_id: trials * len(ACCOUNTS)}
        other = await teach(database, first, seed=1)
        at_once = await memory.fresh(first)
        assert at_once is not None
        assert set(counted(at_once, first)) == {pattern_id, other}


async def test_a_commit_that_is_told_of_after_the_reading_began_loses_no_pattern(
    database: Database,
) -> None:
    """The rows that are read have it already; dropped, it would be missing until its next change."""
    place = scope("told_late")
    pattern_id = await teach(database, place)
    memory = PublishedMemory(database, k=RULE.k, limit=64 * MEGABYTE)
    async with database.connection() as looking, database.connection() as holding:
        seen_versions = await scope_versions(looking)
        (version,) = [one.version for one in seen_versions if one.scope_id == place.scope_id]
        await memory.catch_up(looking, seen_versions, memory.now())
        async with holding.transaction():
            # The scope's version has been read when the load waits for the rows.
            await holding.execute("LOCK TABLE pattern_wordings IN ACCESS EXCLUSIVE MODE")
            assert await memory.fresh(place) is None
            await waiting_for_a_lock(looking)
            memory.committed([Change(place.scope_id, version, frozenset({pattern_id}))])
        while memory.loads == 0:  # noqa: ASYNC110 - another task loads it
            await asyncio.sleep(0.01)
        await memory.catch_up(looking, await scope_versions(looking), memory.now())
        assert counted(await loaded(memory, place), place) == {pattern_id: len(ACCOUNTS)}
    await memory.aclose()


async def test_another_process_sees_it_without_being_told_by_this_one(
    database: Database, database_of_its_own: str
) -> None:
    """By the notification, or at its next look."""
    place = scope("followed")
    await teach(database, place)
    async with opened(database_of_its_own) as elsewhere, following(elsewhere) as memory:
        await loaded(memory, place)
        pattern_id = await teach(database, place)
        await seen(memory, place, {pattern_id: 2 * len(ACCOUNTS)})


@pytest.mark.cluster
@pytest.mark.parametrize("held", [False, True], ids=["loaded", "followed"])
async def test_a_version_is_read_once_all_that_raised_it_is_on_the_workers(
    database: Database, database_of_its_own: str, held: bool
) -> None:
    """A transaction of several nodes is seen on the coordinator first; here its end is held up, by the lock that it has until then."""
    place = scope("raised")
    await register(database, "five")
    pattern_id = await teach(database, place)
    async with opened(database_of_its_own) as elsewhere, following(elsewhere) as memory:
        if held:
            await loaded(memory, place)
        async with database.connection() as raising, raising.transaction():
            await raising.execute("SELECT raise_everywhere($1)", place.scope_id)
            await capture(groups_of(database), observation(place, "five", action=ACTION), vector(0))
            before = await memory.fresh(place)
            assert before is None or counted(before, place) == {pattern_id: len(ACCOUNTS)}
            await waiting_for_a_lock(raising)
        await seen(memory, place, {pattern_id: len(ACCOUNTS) + 1})


async def test_memory_does_not_answer_when_it_has_not_been_looked_at_for_a_second(
    database: Database,
) -> None:
    """A process that cannot reach the database answers nothing from memory that may be old."""
    clock, place = Clock(), scope("unwatched")
    await teach(database, place)
    memory = PublishedMemory(database, k=RULE.k, limit=64 * MEGABYTE, now=clock)
    task = asyncio.create_task(FollowPublished(database, memory).run())
    await loaded(memory, place)
    task.cancel()
    await asyncio.wait([task])
    clock.now += OLDEST
    assert await memory.fresh(place) is not None
    clock.now += 0.01
    assert memory.lag > OLDEST

    async def pass_on() -> None:
        await asyncio.sleep(0)
        clock.now += 60.0

    passing = asyncio.create_task(pass_on())
    assert await memory.fresh(place) is None
    await passing
    await memory.aclose()


async def test_a_lost_connection_is_made_anew_and_nothing_is_missed(
    database: Database, database_of_its_own: str
) -> None:
    """What was committed while nobody listened is read as soon as somebody does."""
    place = scope("reconnected")
    await teach(database, place)
    async with opened(database_of_its_own) as elsewhere, following(elsewhere) as memory:
        await loaded(memory, place)
        async with database.connection() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                "   AND query LIKE 'LISTEN%' OR query LIKE '%FROM scopes%'"
                "   AND datname = current_database() AND pid <> pg_backend_pid()"
            )
        pattern_id = await teach(database, place)
        await seen(memory, place, {pattern_id: 2 * len(ACCOUNTS)})


async def test_a_connection_lost_in_the_middle_of_a_look_takes_nothing_out_of_memory(
    database: Database,
) -> None:
    """What is held is followed by the next connection, without being loaded again."""
    place = scope("followed")
    await teach(database, place)
    memory = PublishedMemory(database, k=RULE.k, limit=64 * MEGABYTE, now=Clock())

    async def look(*, lost: bool = False) -> None:
        async with database.connection() as connection:
            versions = await scope_versions(connection)
            if lost:
                connection.terminate()
            await memory.catch_up(connection, versions, memory.now())

    await look()
    await loaded(memory, place)
    pattern_id = await teach(database, place)
    with pytest.raises(StorageUnavailable):
        await look(lost=True)

    await look()

    patterns = await memory.fresh(place)
    assert patterns is not None
    assert counted(patterns, place) == {pattern_id: 2 * len(ACCOUNTS)}
    assert memory.loads == 1


async def test_an_account_that_no_longer_counts_is_left_out_at_once(database: Database) -> None:
    """Also before the totals follow: three of four are left, then two, which publish nothing."""
    place = scope("unqualified")
    pattern_id = await teach(database, place)
    async with following(database) as memory:
        assert counted(await loaded(memory, place), place) == {pattern_id: 4}
        qualification = PostgresQualification(database)
        await qualification.qualify("four", qualified=False)
        assert counted(await loaded(memory, place), place) == {pattern_id: 3}
        await qualification.qualify("three", qualified=False)
        assert counted(await loaded(memory, place), place) == {}


async def test_the_asking_owners_evidence_is_left_out_as_its_accounts_change_hands(
    database: Database,
) -> None:
    """An account sees the others, and less of them when one becomes its owner's."""
    place = scope("owned")
    pattern_id = await teach(database, place)
    async with following(database) as memory:
        assert counted(await loaded(memory, place), place, "one") == {pattern_id: 3}
        await PostgresAccounts(database).register_known("two", None, None, audited())
        async with database.transaction() as connection:
            await connection.execute(
                "UPDATE accounts SET declared_owner_key = 'chain' WHERE account_key IN ('one', 'two')"
            )
            await reset(connection, [place.scope_id])
        assert counted(await loaded(memory, place), place, "chain") == {}
        # Two owners of one outcome, and one of two, which weighs no more than they do.
        assert counted(await loaded(memory, place), place) == {pattern_id: 3}


async def test_nothing_of_what_is_deleted_stays_in_memory(database: Database) -> None:
    """When `caught_up` returns, neither a pattern's words nor an owner's key can be found in it."""
    place = scope("deleted")
    await capture(
        groups_of(database), observation(place, "one", action="offer a canary"), vector(7)
    )
    for account in ("two", "three", "four"):
        await capture(
            groups_of(database), observation(place, account, action="offer a canary"), vector(7)
        )
    async with following(database) as memory:
        patterns = await loaded(memory, place)
        assert counted(patterns, place)
        assert b"canary" in pickle.dumps(patterns)
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM observations WHERE scope_id = $1", place.scope_id)
            await connection.execute(
                "DELETE FROM network_patterns WHERE scope_id = $1", place.scope_id
            )
            await reset(connection, [place.scope_id])
        await memory.caught_up()
        assert memory.patterns == 0
        assert counted(await loaded(memory, place), place) == {}
        del patterns
        assert b"canary" not in pickle.dumps(await memory.fresh(place))


async def test_the_scope_that_was_asked_about_the_longest_ago_makes_room(
    database: Database,
) -> None:
    """Its questions go to the database meanwhile; those in use stay."""
    clock = Clock()
    places = [scope(f"room_{number}") for number in range(3)]
    for place in places:
        for seed in range(4):
            await teach(database, place, seed=seed)
    async with following(database, clock=clock) as unbounded:
        each = [(await loaded(unbounded, place)).nbytes for place in places]
    async with following(database, limit=sum(each[:2]) + each[2] // 2, clock=clock) as memory:
        await loaded(memory, places[0])
        clock.now += 60.0
        await loaded(memory, places[1])
        await loaded(memory, places[2])
        assert memory.evictions == 1
        assert memory.nbytes <= sum(each[:2]) + each[2] // 2
        assert await memory.fresh(places[0]) is None
        assert await memory.fresh(places[1]) is not None


async def test_no_memory_leaves_all_to_the_database(database: Database) -> None:
    """With a limit of 0 nothing is loaded."""
    place = scope("none")
    await teach(database, place)
    async with following(database, limit=0) as memory:
        assert await memory.fresh(place) is None
        assert await memory.fresh_elsewhere(place) is None
        assert memory.loads == 0


async def test_another_model_is_loaded_anew(database: Database) -> None:
    """Vectors of different models never meet: a question of another one finds nothing of this one's."""
    place = scope("moved")
    await teach(database, place)
    moved = Scope(place.pattern_type, place.business_category, f"{MODEL}-2")
    async with following(database) as memory:
        assert counted(await loaded(memory, place), place)
        assert counted(await loaded(memory, moved), moved) == {}
        async with database.transaction() as connection:
            await connection.execute(
                "UPDATE network_patterns SET embedding_model = $2 WHERE scope_id = $1",
                place.scope_id,
                moved.embedding_model,
            )
            await reset(connection)
        assert counted(await loaded(memory, moved), moved)
