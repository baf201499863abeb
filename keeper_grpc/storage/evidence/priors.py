"""The tables of usecases/evidence/learn_priors.py."""

from __future__ import annotations

from collections.abc import Sequence

from keeper_grpc.domain.evidence.evidence import Evidence, Prior
from keeper_grpc.domain.evidence.priors import (
    Assigned,
    Judged,
    LearnedPrior,
    LearnedPriors,
    Outcomes,
    Source,
)
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.evidence.publication import published
from keeper_grpc.storage.locks import AdvisoryLock, try_lock

AT_ONCE = 200
"""Patterns that one transaction writes: their rows are wide, and captures of them wait meanwhile."""


class PostgresPriors:
    """Priors in the rows of patterns, and apart from them for patterns that are yet to come."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def judged(self, rule: PublicationRule) -> Sequence[Judged]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                f"""
                SELECT p.id, p.pattern_type, p.business_category, p.occurrence_count,
                       p.success_count, p.prior_successes, p.prior_failures, p.prior_source,
                       p.prior_patterns, p.cautious_successes, p.cautious_failures,
                       {published("p", "$1")} AS published
                  FROM network_patterns p
                """,  # noqa: S608 - only constants are interpolated
                rule.k,
            )
        return [
            Judged(
                row["id"],
                Outcomes(
                    row["pattern_type"],
                    row["business_category"],
                    row["occurrence_count"],
                    row["success_count"],
                ),
                row["published"],
                LearnedPrior(
                    Prior(row["prior_successes"], row["prior_failures"]),
                    Source(row["prior_source"]),
                    row["prior_patterns"],
                    Prior(row["cautious_successes"], row["cautious_failures"]),
                ),
            )
            for row in rows
        ]

    async def assign(self, assigned: Sequence[Assigned]) -> int:
        done = 0
        ordered = sorted(assigned, key=lambda one: one.pattern_id)
        for start in range(0, len(ordered), AT_ONCE):
            part = ordered[start : start + AT_ONCE]
            async with self._database.transaction() as connection:
                if not await try_lock(connection, AdvisoryLock.PRIORS):
                    break
                done += await connection.fetchval(
                    """
                    WITH given AS (
                        SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[],
                                             $4::double precision[], $5::double precision[],
                                             $6::text[], $7::integer[], $8::double precision[],
                                             $9::double precision[], $10::double precision[])
                            AS g (id, trials, successes, prior_successes, prior_failures, source,
                                  patterns, lower_bound, cautious_successes, cautious_failures)
                    ), changed AS (
                        UPDATE network_patterns p
                           SET prior_successes = g.prior_successes,
                               prior_failures = g.prior_failures, prior_source = g.source,
                               prior_patterns = g.patterns, confidence_score = g.lower_bound,
                               cautious_successes = g.cautious_successes,
                               cautious_failures = g.cautious_failures
                          FROM given g
                         WHERE p.id = g.id AND p.occurrence_count = g.trials
                           AND p.success_count = g.successes
                           AND (p.prior_source = 'author') = (g.source = 'author')
                        RETURNING p.id
                    )
                    SELECT count(*) FROM changed
                    """,
                    [one.pattern_id for one in part],
                    [one.outcomes.trials for one in part],
                    [one.outcomes.successes for one in part],
                    [one.learned.prior.successes for one in part],
                    [one.learned.prior.failures for one in part],
                    [one.learned.source.value for one in part],
                    [one.learned.patterns for one in part],
                    [
                        Evidence(one.outcomes.trials, one.outcomes.successes).lower_bound(
                            one.learned.cautious
                        )
                        for one in part
                    ],
                    [one.learned.cautious.successes for one in part],
                    [one.learned.cautious.failures for one in part],
                )
        return done

    async def expect(self, priors: LearnedPriors) -> None:
        kinds = sorted(priors)
        learned = [priors[kind] for kind in kinds]
        async with self._database.transaction() as connection:
            if not await try_lock(connection, AdvisoryLock.PRIORS):
                return
            await connection.execute(
                """
                WITH given AS (
                    SELECT * FROM unnest($1::text[], $2::text[], $3::double precision[],
                                         $4::double precision[], $5::text[], $6::integer[],
                                         $7::double precision[], $8::double precision[])
                        AS g (pattern_type, business_category, successes, failures, source,
                              patterns, cautious_successes, cautious_failures)
                ), gone AS (
                    DELETE FROM learned_priors l
                     WHERE NOT EXISTS (SELECT FROM given g
                                        WHERE (g.pattern_type, g.business_category)
                                            = (l.pattern_type, l.business_category))
                )
                INSERT INTO learned_priors (pattern_type, business_category, successes, failures, source,
                                            patterns, cautious_successes, cautious_failures)
                SELECT * FROM given
                ON CONFLICT (pattern_type, business_category) DO UPDATE
                   SET successes = excluded.successes, failures = excluded.failures,
                       source = excluded.source, patterns = excluded.patterns,
                       cautious_successes = excluded.cautious_successes,
                       cautious_failures = excluded.cautious_failures
                """,
                [pattern_type for pattern_type, _ in kinds],
                [category for _, category in kinds],
                [one.prior.successes for one in learned],
                [one.prior.failures for one in learned],
                [one.source.value for one in learned],
                [one.patterns for one in learned],
                [one.cautious.successes for one in learned],
                [one.cautious.failures for one in learned],
            )
