from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
import pytest

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.advice.enhancement import Asked
from keeper_grpc.domain.advice.ranking import Requirements, hurdle
from keeper_grpc.domain.evidence.evidence import Evidence, Share, heaviest, recency_weight, weigh
from keeper_grpc.domain.insight import JsonValue, Outcome
from keeper_grpc.domain.patterns.listing import PatternFilter
from keeper_grpc.domain.patterns.pattern import Pattern
from keeper_grpc.storage.advice.candidates import PostgresCandidates
from keeper_grpc.storage.advice.suggestions import PostgresMoves
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.patterns.ann_indexes import PostgresAnnIndexes
from keeper_grpc.storage.patterns.read import PostgresPatterns
from keeper_grpc.storage.patterns.view import NO_VIEWER, see_pattern
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

ACCOUNTS = [f"account_{n}" for n in range(6)]
HALF_LIFE = timedelta(days=10_000)
CONDITIONS: list[dict[str, JsonValue]] = [
    {},
    {"season": "summer"},
    {"season": "winter"},
    {"season": "winter", "visits": 3},
]


async def fill(database: Database, pattern_type: str, chance: np.random.Generator) -> None:
    """Captures of a few accounts around three places."""
    await register(database, *ACCOUNTS)
    for _ in range(60):
        # Quarters add up exactly in binary.
        revenue = float(chance.integers(-200, 400)) / 4 if chance.random() < 0.6 else None
        await capture(
            groups_of(database),
            observation(
                scope(pattern_type),
                str(chance.choice(ACCOUNTS)),
                script=str(chance.choice(["", "hello", "good day"])),
                conditions=CONDITIONS[int(chance.integers(0, len(CONDITIONS)))],
                outcome=Outcome(success=bool(chance.random() < 0.7), revenue_impact=revenue),
                occurred=START + timedelta(hours=int(chance.integers(0, 500))),
            ),
            vector(int(chance.integers(0, 3))),
        )


async def counted(
    database: Database, viewer: str, now_weight: float | None
) -> dict[UUID, tuple[Evidence, dict[str, Evidence]]]:
    """Each pattern's evidence and its scripts', counted from the ledger without the viewer."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT * FROM observations WHERE account_key <> $1 ORDER BY id", viewer
        )
    patterns: dict[UUID, dict[str, list[tuple[int, float | None, float]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    scripts: dict[UUID, dict[str, dict[str, list[tuple[int, float]]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for row in rows:
        account, success = row["account_key"], int(row["success"])
        weight = recency_weight(row["occurred_time"], HALF_LIFE)
        patterns[row["pattern_id"]][account].append((success, row["revenue_impact"], weight))
        scripts[row["pattern_id"]][row["script"]][account].append((success, weight))
    return {
        pattern_id: (
            weigh(
                (
                    Share(
                        trials=len(share),
                        successes=sum(success for success, _, _ in share),
                        recent_trials=now_weight and sum(w for _, _, w in share) / now_weight,
                        recent_successes=now_weight
                        and sum(success * w for success, _, w in share) / now_weight,
                        revenue_total=sum(revenue or 0 for _, revenue, _ in share),
                        revenue_count=sum(revenue is not None for _, revenue, _ in share),
                    )
                    for share in shares.values()
                ),
                RULE.k,
            ),
            {
                template: weigh(
                    (
                        Share(
                            trials=len(share),
                            successes=sum(success for success, _ in share),
                            recent_trials=now_weight and sum(w for _, w in share) / now_weight,
                            recent_successes=now_weight
                            and sum(success * w for success, w in share) / now_weight,
                        )
                        for share in used.values()
                    ),
                    RULE.k,
                    heaviest([len(share) for share in shares.values()], RULE.k),
                )
                for template, used in scripts[pattern_id].items()
                if template
            },
        )
        for pattern_id, shares in patterns.items()
    }


def plain(evidence: Evidence) -> Evidence:
    """The evidence with recency to what a double is good for."""
    return replace(
        evidence,
        recent_trials=evidence.recent_trials and round(evidence.recent_trials, 6),
        recent_successes=evidence.recent_successes and round(evidence.recent_successes, 6),
    )


def seen(pattern: Pattern) -> tuple[Evidence, dict[str, Evidence]]:
    """A pattern's evidence and that of the scripts that someone else used."""
    return plain(pattern.evidence), {
        script.template: plain(script.evidence)
        for script in pattern.scripts
        if script.evidence.trials
    }


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_reader_sees_what_the_ledger_says_of_the_others(
    database_url: str, seed: int
) -> None:
    """Searching, suggesting, capturing, listing and reading one give each viewer one evidence."""
    pattern_type = f"view_{seed}"
    now = START + timedelta(days=30)
    now_weight = recency_weight(now, HALF_LIFE)
    async with opened(database_url) as database:
        await fill(database, pattern_type, np.random.default_rng(seed))
        candidates = PostgresCandidates(
            database, PostgresAnnIndexes(database), half_life=HALF_LIFE, clock=lambda: now
        )
        moves = PostgresMoves(database, half_life=HALF_LIFE, clock=lambda: now)
        requirements = Requirements(min_similarity=-1.0, rule=RULE)
        for viewer in [*ACCOUNTS, "a newcomer"]:
            weighed = {
                pattern_id: (plain(evidence), {t: plain(e) for t, e in scripts.items()})
                for pattern_id, (evidence, scripts) in (
                    await counted(database, viewer, now_weight)
                ).items()
            }
            asked = Asked(scope(pattern_type), vector(0), viewer, viewer, {})
            found = await candidates.candidates(asked, requirements, 20)
            mine = {c.pattern.pattern_id: seen(c.pattern) for c in found}
            assert mine
            assert mine == {pattern_id: weighed[pattern_id] for pattern_id in mine}
            suggested = await moves.candidates_without(
                Account(viewer, "spa", viewer), [c.pattern.key for c in found], {}, RULE
            )
            assert {key: seen(one.pattern) for key, one in suggested.items()} == mine

            alike = await counted(database, viewer, None)
            keys = [candidate.pattern.key for candidate in found]
            async with groups_of(database).group() as transaction:
                replies = await transaction.patterns([(key, viewer) for key in keys])
            for key in keys:
                assert seen(replies[key, viewer])[0] == plain(alike[key.pattern_id][0])

        everyone = await counted(database, NO_VIEWER, now_weight)
        listed = await PostgresPatterns(
            database, half_life=HALF_LIFE, clock=lambda: now
        ).list_patterns(PatternFilter(pattern_type=pattern_type), RULE, None, 50)
        assert listed
        for pattern in listed:
            assert seen(pattern)[0] == plain(everyone[pattern.pattern_id][0])
            async with database.connection() as connection:
                one = await see_pattern(connection, pattern.key, RULE, now_weight=now_weight)
            assert one == pattern


@pytest.mark.parametrize("seed", [3, 4])
async def test_a_filtered_search_finds_what_meets_the_requirements_by_its_evidence(
    database_url: str, seed: int
) -> None:
    """What filters a scope leaves the asking account out, and cuts nothing that its situation lets pass."""
    pattern_type = f"filtered_{seed}"
    async with opened(database_url) as database:
        await fill(database, pattern_type, np.random.default_rng(seed))
        candidates = PostgresCandidates(
            database,
            PostgresAnnIndexes(database),
            half_life=HALF_LIFE,
            clock=lambda: datetime.fromisoformat("2026-02-01T00:00:00Z"),
        )
        elsewhere = replace(scope(pattern_type), business_category="gym")
        for viewer in ACCOUNTS:
            for conditions in CONDITIONS:
                asked = Asked(elsewhere, vector(0), viewer, viewer, conditions)
                known = await candidates.candidates_elsewhere(
                    asked, Requirements(-1.0, RULE, 0.0, 1), 20
                )
                assert {one.pattern.pattern_id for one in known} == {
                    pattern_id
                    for pattern_id, (evidence, _) in (
                        await of_type(database, pattern_type, viewer)
                    ).items()
                    if evidence.accounts >= RULE.k
                }
                # Each candidate's own figures as the bound: a share too many or too few would show.
                for requirements in [
                    Requirements(-1.0, RULE, min_rate, least)
                    for bound in known
                    for min_rate, least in (
                        (bound.expected_success_rate, 1),
                        (0.0, bound.expectation.counted.trials),
                        (0.0, bound.expectation.counted.trials + 1),
                    )
                ]:
                    found = await candidates.candidates_elsewhere(asked, requirements, 20)
                    assert {one.pattern.pattern_id for one in found} == {
                        one.pattern.pattern_id for one in known if hurdle(one, requirements) is None
                    }


async def of_type(
    database: Database, pattern_type: str, viewer: str
) -> dict[UUID, tuple[Evidence, dict[str, Evidence]]]:
    """What `counted` says of the patterns of one type."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT id FROM network_patterns WHERE pattern_type = $1 AND embedding_model = $2",
            pattern_type,
            MODEL,
        )
    known = {row["id"] for row in rows}
    return {
        key: value for key, value in (await counted(database, viewer, None)).items() if key in known
    }
