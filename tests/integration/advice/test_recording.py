from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

from keeper_grpc.domain.advice.enhancement import Advice, Enhancement, EnhancementRecord
from keeper_grpc.domain.advice.exploration import ChosenScript
from keeper_grpc.domain.advice.ranking import Candidate, NoMatch, Scored
from keeper_grpc.domain.errors import AccountBeingForgotten, PatternsMoved
from keeper_grpc.domain.evidence.evidence import Evidence, Prior
from keeper_grpc.domain.insight import AnonymizationReport
from keeper_grpc.domain.patterns.pattern import Pattern, Scope
from keeper_grpc.storage.advice.enhancements import PostgresEnhancements
from keeper_grpc.storage.database import Database
from tests.integration.observations import (
    START,
    capture,
    groups_of,
    observation,
    opened,
    register,
    scope,
    vector,
)


def asked(place: Scope, account: str, *, action: str = "", seed: int = 1) -> EnhancementRecord:
    """The record of a question that nothing was known about."""
    return EnhancementRecord(
        enhancement=Enhancement(
            enhancement_id=uuid4(),
            insight=observation(place, account, action=action).insight,
            advice=None,
            no_match=NoMatch.NO_PATTERNS,
            closest=None,
            anonymization=AnonymizationReport(),
            created_at=START,
        ),
        withheld_advice=None,
        holdout_share=0.0,
        scope=place,
        account_key=account,
        vector=vector(seed),
        seen_time=START,
    )


def advised(place: Scope, account: str, pattern_id: UUID) -> EnhancementRecord:
    """The record of a question that this pattern answered."""
    pattern = Pattern(
        pattern_id=pattern_id,
        scope=place,
        conditions={},
        action="offer a package",
        evidence=Evidence(5, 4, 3),
        scripts=(),
        first_discovered=None,
        last_validated=None,
        prior=Prior(),
    )
    record = asked(place, account, action="offer something")
    advice = Advice(
        best=Scored(Candidate(pattern, 0.9), 1.0),
        confidence=0.6,
        script=ChosenScript("", 1.0),
        network_context="",
        typical_revenue=None,
        explanation="",
    )
    return replace(record, enhancement=replace(record.enhancement, advice=advice, no_match=None))


async def written(database: Database, place: Scope) -> tuple[set[UUID], set[str]]:
    """The enhancements of a scope, and the accounts that were seen to ask in it."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT id FROM enhancements WHERE scope_id = $1", place.scope_id
        )
        seen = await connection.fetch(
            "SELECT account_key FROM sightings WHERE scope_id = $1", place.scope_id
        )
    return {row["id"] for row in rows}, {row["account_key"] for row in seen}


async def test_a_question_that_cannot_be_recorded_fails_alone(database_url: str) -> None:
    """Its account or its pattern is gone: neither it nor its sighting is written, and those of its group are."""
    place = scope("recorded")
    async with opened(database_url) as database:
        await register(database, "recorded-a", "recorded-b", "recorded-c")
        known = await capture(groups_of(database), observation(place, "recorded-a"), vector(1))
        group = [
            asked(place, "nobody"),
            advised(place, "recorded-b", uuid4()),
            advised(place, "recorded-c", known),
        ]
        errors = await PostgresEnhancements(database).record_enhancements(group)
        found = await written(database, place)
    assert [type(error) for error in errors] == [AccountBeingForgotten, PatternsMoved, type(None)]
    assert found == ({group[2].enhancement.enhancement_id}, {"recorded-a", "recorded-c"})


async def test_a_question_under_a_replaced_model_is_not_recorded(database_of_its_own: str) -> None:
    """Its vector must not meet those of the database's model."""
    place = scope("recorded-model")
    async with opened(database_of_its_own) as database:
        await register(database, "recorded-d")
        async with database.connection() as connection:
            await connection.execute(
                "INSERT INTO embedding_space (model, recipe) VALUES ('the new one', '{}')"
            )
        (error,) = await PostgresEnhancements(database).record_enhancements(
            [asked(place, "recorded-d")]
        )
        found = await written(database, place)
    assert isinstance(error, PatternsMoved)
    assert found == (set(), set())


async def test_one_account_that_asks_the_same_twice_in_a_group_is_seen_once(
    database_url: str,
) -> None:
    """Both questions are recorded, and count in the metrics."""
    place = scope("recorded-twice")
    async with opened(database_url) as database:
        await register(database, "recorded-e")
        group = [asked(place, "recorded-e"), asked(place, "recorded-e", seed=2)]
        errors = await PostgresEnhancements(database).record_enhancements(group)
        ids, _ = await written(database, place)
        async with database.connection() as connection:
            seen = await connection.fetchval(
                "SELECT count(*) FROM sightings WHERE scope_id = $1", place.scope_id
            )
            measured = await connection.fetchval(
                "SELECT count(*) FROM enhancements WHERE scope_id = $1 AND measured", place.scope_id
            )
    assert errors == [None, None]
    assert ids == {each.enhancement.enhancement_id for each in group}
    assert (seen, measured) == (1, 2)
