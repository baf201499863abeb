from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.priors import Assigned, LearnedPrior, Source
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.evidence.spreads import learn_spreads
from keeper_grpc.domain.insight import Outcome
from keeper_grpc.domain.patterns.pattern import Pattern
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.evidence.priors import CONTRASTED, PostgresPriors
from keeper_grpc.storage.evidence.rebuild import PostgresRebuild
from keeper_grpc.storage.locks import AdvisoryLock, lock
from keeper_grpc.storage.patterns.groups import PostgresGroups
from keeper_grpc.storage.patterns.keys import find_pattern_key
from keeper_grpc.storage.patterns.view import see_pattern
from keeper_grpc.usecases.evidence.learn_priors import LearnPriors
from keeper_grpc.usecases.evidence.rebuild import RebuildEvidence
from tests.integration.observations import (
    COUNTING,
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

OTHERS = 5


def learner(database: Database) -> LearnPriors:
    """The use case under test."""
    return LearnPriors(store=stored(database), rule=RULE, interval=timedelta(minutes=1))


def stored(database: Database, now: datetime = START) -> PostgresPriors:
    """The tables, read at this time."""
    return PostgresPriors(database, half_life=COUNTING.half_life, clock=lambda: now)


async def observe(database: Database, kind: str, place: int, outcomes: Sequence[bool]) -> UUID:
    """Capture one outcome of a new account each, at a place of its own; the pattern's id."""
    for number, success in enumerate(outcomes):
        account = f"{kind}-{place}-{number}"
        await register(database, account)
        pattern_id = await capture(
            groups_of(database),
            observation(scope(kind), account, outcome=Outcome(success=success)),
            vector(place),
        )
    return pattern_id


async def seen(database: Database, pattern_id: UUID) -> Pattern:
    """The pattern as everyone sees it."""
    async with database.connection() as connection:
        key = await find_pattern_key(connection, pattern_id)
        pattern = key and await see_pattern(connection, key, RULE)
    assert pattern is not None
    return pattern


async def listed_score(database: Database, pattern_id: UUID) -> float:
    """What the pattern is listed by."""
    async with database.connection() as connection:
        found = await connection.fetchval(
            "SELECT confidence_score FROM network_patterns WHERE id = $1", pattern_id
        )
    return float(found)


async def test_patterns_learn_from_each_other_and_new_ones_from_all(database_url: str) -> None:
    """Each gets what the others say, its bound follows, and a pattern to come begins with it."""
    async with opened(database_url) as database:
        ids = [
            await observe(database, "learned", place, [True, True, True, place % 2 == 0])
            for place in range(OTHERS + 1)
        ]
        hidden = await observe(database, "learned", 100, [False, False])
        assert await learner(database)() >= len(ids)
        for pattern_id in ids:
            pattern = await seen(database, pattern_id)
            assert (pattern.prior_source, pattern.prior_patterns) == (Source.CATEGORY, OTHERS)
            assert pattern.prior.mean > 0.7
            assert await listed_score(database, pattern_id) == pattern.lower_bound
        assert (await seen(database, hidden)).prior_patterns == OTHERS + 1
        assert await learner(database)() == 0

        new = await seen(database, await observe(database, "learned", 200, [True]))
        assert (new.prior_source, new.prior_patterns) == (Source.CATEGORY, OTHERS + 1)
        other = await seen(database, await observe(database, "unheard_of", 1, [True]))
        assert (other.prior_source, other.prior_patterns) == (Source.NETWORK, OTHERS + 1)


async def test_every_pattern_is_read_however_few_a_statement_reads(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, in any number of statements: one that read all would meet the statement timeout in a large network."""
    async with opened(database_url) as database:
        ids = {await observe(database, "parted", place, [True]) for place in range(OTHERS)}
        at_once = await stored(database).judged(RULE)
        for most in (1, 2, len(at_once)):
            monkeypatch.setattr("keeper_grpc.storage.evidence.priors.READ_AT_ONCE", most)
            parted = await stored(database).judged(RULE)
            assert sorted(parted, key=lambda one: one.pattern_id) == sorted(
                at_once, key=lambda one: one.pattern_id
            )
    assert ids <= {one.pattern_id for one in at_once}


async def test_a_pattern_that_changed_meanwhile_is_left_for_the_next_time(
    database_url: str,
) -> None:
    """A bound of counts that are no longer there must not be written over a newer one."""
    async with opened(database_url) as database:
        ids = [
            await observe(database, "changing", place, [True, True, True])
            for place in range(OTHERS + 1)
        ]
        store = stored(database)
        judged = [one for one in await store.judged(RULE) if one.pattern_id in ids]
        learned = LearnedPrior(judged[0].current.prior, Source.TYPE, 7)
        await observe(database, "changing", 0, [True, True, True, False])
        assigned = [Assigned(one.pattern_id, one.outcomes, learned) for one in judged]
        assert await store.assign(assigned) == len(ids) - 1
        assert (await seen(database, ids[0])).prior_patterns != 7
        assert (await seen(database, ids[1])).prior_source is Source.TYPE


async def test_one_process_learns_at_a_time(database_url: str) -> None:
    """Two that write the same rows in another order would wait for each other."""
    async with opened(database_url) as database:
        for place in range(OTHERS + 1):
            await observe(database, "alone", place, [True, True, True])
        async with database.transaction() as connection:
            await lock(connection, AdvisoryLock.PRIORS)
            assert await learner(database)() == 0
        assert await learner(database)() > 0


@pytest.mark.parametrize("k", [2, 5])
async def test_another_k_weighs_what_is_stored_anew(database_url: str, k: int) -> None:
    """The next start counts under its own k, without a rebuild."""
    async with opened(database_url) as database:
        pattern_id = await observe(database, f"weighed_{k}", 1, [True] * 5)
        for _ in range(20):
            await capture(
                groups_of(database),
                observation(
                    scope(f"weighed_{k}"), f"weighed_{k}-1-0", outcome=Outcome(success=False)
                ),
                vector(1),
            )
        rebuild = PostgresRebuild(database)
        half_life = timedelta(days=10_000)
        async with database.connection() as connection:
            await connection.execute("DELETE FROM evidence_settings")
        await rebuild.agree(Counting(RULE, half_life))
        rule = PublicationRule(k)
        await rebuild.agree(Counting(rule, half_life))
        async with database.connection() as connection:
            key = await find_pattern_key(connection, pattern_id)
            pattern = key and await see_pattern(connection, key, rule)
            stored = await connection.fetchrow(
                "SELECT occurrence_count, success_count, account_count FROM network_patterns"
                " WHERE id = $1",
                pattern_id,
            )
        assert pattern is not None
        assert stored is not None
        evidence = pattern.evidence
        assert tuple(stored) == (evidence.trials, evidence.successes, evidence.accounts)
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT k FROM evidence_settings") == k
        await rebuild.agree(Counting(RULE, half_life))


async def test_what_priors_are_learned_from_ages(database_url: str) -> None:
    """As all that is expected: outcomes of one half-life ago teach half as much, recounted or as they came."""
    half_life = timedelta(days=45)
    counting = Counting(RULE, half_life)
    async with opened(database_url) as database:
        captures = PostgresGroups(database, counting)
        for number in range(3):
            await register(database, f"ageing-{number}")
            pattern_id = await capture(
                captures, observation(scope("ageing"), f"ageing-{number}"), vector(0)
            )

        async def taught(now: datetime) -> tuple[float, float]:
            store = PostgresPriors(database, half_life=half_life, clock=lambda: now)
            (judged,) = [one for one in await store.judged(RULE) if one.pattern_id == pattern_id]
            return judged.recent.trials, judged.recent.successes

        assert await taught(START) == (3.0, 3.0)
        assert await taught(START + half_life) == (1.5, 1.5)
        await RebuildEvidence(store=PostgresRebuild(database), counting=counting)()
        assert await taught(START + half_life) == (1.5, 1.5)


async def test_how_much_a_condition_matters_is_learned_from_what_may_be_shown(
    database_url: str,
) -> None:
    """Of the situation's conditions one decides, another says nothing; both sides need k owners."""
    async with opened(database_url) as database:
        for place in range(CONTRASTED // 5):
            for number in range(16):
                account = f"contrast-{place}-{number}"
                await register(database, account)
                morning, monday = number % 2 == 0, number % 4 < 2
                await capture(
                    groups_of(database),
                    observation(
                        scope("contrasts"),
                        account,
                        outcome=Outcome(success=morning == (place % 2 == 0)),
                        conditions={
                            "time": "morning" if morning else "evening",
                            "day": "monday" if monday else "friday",
                            **({"rare": "yes"} if number < 2 else {}),
                        },
                    ),
                    vector(place),
                )
        store = stored(database)
        contrasts = [c for c in await store.contrasts(RULE) if c.pattern_type == "contrasts"]
        assert {contrast.key for contrast in contrasts} == {"time", "day"}
        spreads = learn_spreads(contrasts)["contrasts"]
        assert spreads["time"] > 1
        assert spreads["day"] < 0.2
        await learner(database)()
        ids = [
            one.pattern_id
            for one in await store.judged(RULE)
            if one.outcomes.pattern_type == "contrasts"
        ]
        assert (await seen(database, ids[0])).spreads == spreads
