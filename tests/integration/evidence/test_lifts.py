from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from keeper_grpc.domain.evidence.lifts import FEWEST_PATTERNS
from keeper_grpc.domain.insight import Outcome
from keeper_grpc.domain.patterns.pattern import PatternKey, Script
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.evidence.lifts import PostgresLifts
from keeper_grpc.storage.evidence.rebuild import PostgresRebuild
from keeper_grpc.storage.locks import AdvisoryLock, lock
from keeper_grpc.storage.patterns.keys import find_pattern_key
from keeper_grpc.storage.patterns.view import see_pattern
from keeper_grpc.usecases.evidence.learn_lifts import LearnLifts
from tests.integration.observations import (
    COUNTING,
    RULE,
    capture,
    groups_of,
    observation,
    opened,
    register,
    scope,
    vector,
)

WARM, BRIEF, RARE = "It is a joy to see you, {name}", "{name}. Yes or no?", "Hm, {name}"


def learner(database: Database) -> LearnLifts:
    """The use case under test."""
    return LearnLifts(store=PostgresLifts(database), rule=RULE, interval=timedelta(minutes=1))


async def observe(database: Database, kind: str, place: int, *, warm: bool = True) -> UUID:
    """A pattern at a place of its own, in which the warm script works twelve times and the brief one never.

    One account has a script of its own. The pattern's id.
    """
    for number in range(7):
        account = f"{kind}-{place}-{number}"
        await register(database, account)
        script = (WARM, BRIEF)[number % 2] if number < 6 else RARE
        for _ in range(4 if number < 6 else 1):
            pattern_id = await capture(
                groups_of(database),
                observation(
                    scope(kind),
                    account,
                    script=script,
                    outcome=Outcome(success=(script == WARM) is warm),
                ),
                vector(place),
            )
    return pattern_id


async def scripts(database: Database, pattern_id: UUID) -> dict[str, Script]:
    """The scripts as everyone sees them."""
    async with database.connection() as connection:
        key = await find_pattern_key(connection, pattern_id)
        pattern = key and await see_pattern(connection, key, RULE)
    assert pattern
    return {script.template: script for script in pattern.scripts}


async def test_scripts_are_lifted_by_what_did_alike_elsewhere(database_url: str) -> None:
    """Also where the pattern's own outcomes say otherwise; a script of too few owners teaches and learns nothing."""
    async with opened(database_url) as database:
        ids = [await observe(database, "lifted", place) for place in range(FEWEST_PATTERNS)]
        odd = await observe(database, "lifted", 50, warm=False)
        assert await learner(database)() >= 2 * len(ids)
        for pattern_id in (*ids, odd):
            known = await scripts(database, pattern_id)
            warm, brief = known[WARM].lift, known[BRIEF].lift
            assert warm
            assert brief
            assert warm.mean > 0 > brief.mean
            assert known[RARE].lift is None


async def test_learning_again_changes_nothing_nor_does_a_rebuild(database_url: str) -> None:
    """What is learned depends on the ledger alone."""
    async with opened(database_url) as database:
        ids = [await observe(database, "again", place) for place in range(FEWEST_PATTERNS)]
        await learner(database)()
        before = [await scripts(database, pattern_id) for pattern_id in ids]
        assert await learner(database)() == 0
        for pattern_id in ids:
            key = PatternKey(scope("again").scope_id, pattern_id)
            await PostgresRebuild(database).recount([key], COUNTING)
        assert await learner(database)() == 0
        assert [await scripts(database, pattern_id) for pattern_id in ids] == before


async def test_what_is_no_longer_learned_is_taken(database_url: str) -> None:
    """A lift goes when the scripts that it came from do."""
    async with opened(database_url) as database:
        ids = [await observe(database, "taken", place) for place in range(FEWEST_PATTERNS)]
        await learner(database)()
        assert (await scripts(database, ids[0]))[WARM].lift
        async with database.transaction() as connection:
            await connection.execute(
                "UPDATE network_patterns SET retired_time = now() WHERE id = ANY($1::uuid[])", ids
            )
        await learner(database)()
        assert (await scripts(database, ids[0]))[WARM].lift is None


async def test_another_process_that_learns_is_left_alone(database_url: str) -> None:
    """Two that write the same rows would only repeat each other."""
    async with opened(database_url) as database:
        ids = [await observe(database, "alone", place) for place in range(FEWEST_PATTERNS)]
        async with database.transaction() as connection:
            await lock(connection, AdvisoryLock.PRIORS)
            assert await learner(database)() == 0
        assert (await scripts(database, ids[0]))[WARM].lift is None
