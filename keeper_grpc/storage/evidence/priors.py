"""The tables of usecases/evidence/learn_priors.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from keeper_grpc.domain.evidence.evidence import (
    ALWAYS,
    Prior,
    Share,
    lower_bound,
    recency_weight,
    weigh,
)
from keeper_grpc.domain.evidence.priors import (
    Assigned,
    Judged,
    LearnedPrior,
    LearnedPriors,
    Outcomes,
    Source,
)
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.evidence.spreads import FactContrast
from keeper_grpc.domain.patterns.pattern import PatternKey, scope_id
from keeper_grpc.domain.patterns.situation import fact_key
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.evidence.publication import published
from keeper_grpc.storage.locks import AdvisoryLock, try_lock
from keeper_grpc.storage.patterns.holding import hold_patterns
from keeper_grpc.storage.patterns.keys import key_of
from keeper_grpc.storage.patterns.versions import touch

if TYPE_CHECKING:
    from asyncpg import Record

AT_ONCE = 200
"""Patterns that one transaction writes: their rows are wide, and captures of them wait meanwhile."""

READ_AT_ONCE = 5_000
"""Patterns that one statement reads: however many there are, it ends within KEEPER_STATEMENT_TIMEOUT. Those that change
between two reads are left for the next time, as those that change after them are."""

BEFORE_ALL = UUID(int=0)
"""No pattern has a smaller id."""

CONTRASTED = 50
"""Patterns of each type of which most owners have outcomes: so many tell how much its facts matter."""

FORGOTTEN = 0.5
"""Trials by age below which one side of a contrast says next to nothing."""

_JUDGED = f"""
    SELECT p.id, p.pattern_type, p.business_category, p.occurrence_count,
           p.success_count, p.prior_successes, p.prior_failures, p.prior_source,
           p.prior_patterns, p.cautious_successes, p.cautious_failures, p.fact_spreads,
           {published("p", "$1")} AS published, share.*
      FROM network_patterns p
     CROSS JOIN LATERAL (
           SELECT array_agg(a.occurrence_count) AS trials,
                  array_agg(a.success_count) AS successes,
                  array_agg(a.recent_trials) AS recent_trials,
                  array_agg(a.recent_successes) AS recent_successes
             FROM pattern_owners a
            WHERE a.scope_id = p.scope_id AND a.pattern_id = p.id) share
     WHERE p.id > $2
     ORDER BY p.id
     LIMIT $3
"""  # noqa: S608 - only constants are interpolated

# No owner weighs more than ALWAYS ($3) trials of a pattern, in it and in each of its facts. Both sides of a contrast have
# outcomes of k owners ($1).
_CONTRASTS = f"""
    WITH taught AS (
        SELECT scope_id, id, pattern_type FROM (
            SELECT p.scope_id, p.id, p.pattern_type, row_number() OVER (
                       PARTITION BY p.pattern_type ORDER BY p.account_count DESC, p.id) AS place
              FROM network_patterns p WHERE {published("p", "$1")}) ranked
         WHERE place <= $2
    ), owned AS (
        SELECT a.pattern_id, a.owner_key, a.occurrence_count, a.recent_trials, a.recent_successes,
               least(1.0, $3::double precision / a.occurrence_count) AS part
          FROM pattern_owners a JOIN taught t ON t.scope_id = a.scope_id AND t.id = a.pattern_id
    ), total AS (
        SELECT pattern_id, count(*) AS owners, sum(recent_trials * part) AS trials,
               sum(recent_successes * part) AS successes
          FROM owned GROUP BY pattern_id
    ), shared AS (
        SELECT f.pattern_id, f.facet, sum(f.recent_trials * o.part) AS trials,
               sum(f.recent_successes * o.part) AS successes, count(*) AS owners,
               count(*) FILTER (WHERE f.occurrence_count = o.occurrence_count) AS nowhere_else
          FROM facet_owners f
          JOIN owned o ON o.pattern_id = f.pattern_id AND o.owner_key = f.owner_key
         WHERE (f.scope_id, f.pattern_id) IN (SELECT scope_id, id FROM taught) AND NOT starts_with(f.facet, 'whole:')
         GROUP BY f.pattern_id, f.facet
    )
    SELECT t.pattern_type, s.facet, s.trials / $4 AS trials, s.successes / $4 AS successes,
           (total.trials - s.trials) / $4 AS other_trials,
           (total.successes - s.successes) / $4 AS other_successes
      FROM shared s JOIN total USING (pattern_id) JOIN taught t ON t.id = s.pattern_id
     WHERE s.owners >= $1 AND total.owners - s.nowhere_else >= $1
       AND s.trials / $4 >= $5 AND (total.trials - s.trials) / $4 >= $5
"""  # noqa: S608 - only constants are interpolated


class PostgresPriors:
    """Priors in the rows of patterns, and apart from them for patterns that are yet to come."""

    def __init__(
        self, database: Database, *, half_life: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._half_life = half_life
        self._clock = clock

    @property
    def _now_weight(self) -> float:
        return recency_weight(self._clock(), self._half_life)

    async def judged(self, rule: PublicationRule) -> Sequence[Judged]:
        judged: list[Judged] = []
        last = BEFORE_ALL
        while True:
            async with self._database.connection() as connection:
                rows = await connection.fetch(_JUDGED, rule.k, last, READ_AT_ONCE)
            # Weighing ten thousand patterns takes a second, which calls must not wait for.
            judged += await asyncio.to_thread(_judged, rows, rule, self._now_weight)
            if len(rows) < READ_AT_ONCE:
                return judged
            last = rows[-1]["id"]

    async def contrasts(self, rule: PublicationRule) -> Sequence[FactContrast]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                _CONTRASTS, rule.k, CONTRASTED, ALWAYS, self._now_weight, FORGOTTEN
            )
        return [
            FactContrast(
                row["pattern_type"],
                fact_key(row["facet"]),
                (row["trials"], _within(row["successes"], row["trials"])),
                (row["other_trials"], _within(row["other_successes"], row["other_trials"])),
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
                keys = [
                    PatternKey(
                        scope_id(one.outcomes.pattern_type, one.outcomes.business_category),
                        one.pattern_id,
                    )
                    for one in part
                ]
                transaction_id = await hold_patterns(connection, keys)
                changed = await connection.fetch(
                    """
                    WITH given AS (
                        SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[],
                                             $4::double precision[], $5::double precision[],
                                             $6::text[], $7::integer[], $8::double precision[],
                                             $9::double precision[], $10::double precision[],
                                             $11::jsonb[], $12::bigint[])
                            AS g (id, trials, successes, prior_successes, prior_failures, source,
                                  patterns, lower_bound, cautious_successes, cautious_failures,
                                  spreads, scope_id)
                    ), changed AS (
                        UPDATE network_patterns p
                           SET prior_successes = g.prior_successes,
                               prior_failures = g.prior_failures, prior_source = g.source,
                               prior_patterns = g.patterns, confidence_score = g.lower_bound,
                               cautious_successes = g.cautious_successes,
                               cautious_failures = g.cautious_failures, fact_spreads = g.spreads,
                               changed_in = CASE WHEN p.confidence_score IS DISTINCT FROM g.lower_bound
                                   THEN $13::xid8 ELSE p.changed_in END
                          FROM given g
                         WHERE p.scope_id = g.scope_id AND p.id = g.id AND p.occurrence_count = g.trials
                           AND p.success_count = g.successes
                           AND (p.prior_source = 'author') = (g.source = 'author')
                        RETURNING p.scope_id, p.id
                    )
                    SELECT scope_id, id FROM changed
                    """,
                    [one.pattern_id for one in part],
                    [one.outcomes.trials for one in part],
                    [one.outcomes.successes for one in part],
                    [one.learned.prior.successes for one in part],
                    [one.learned.prior.failures for one in part],
                    [one.learned.source.value for one in part],
                    [one.learned.patterns for one in part],
                    [
                        lower_bound(
                            one.outcomes.trials, one.outcomes.successes, one.learned.cautious
                        )
                        for one in part
                    ],
                    [one.learned.cautious.successes for one in part],
                    [one.learned.cautious.failures for one in part],
                    [dict(one.learned.spreads) for one in part],
                    [key.scope_id for key in keys],
                    transaction_id,
                )
                await touch(connection, [key_of(row) for row in changed])
                done += len(changed)
        return done

    async def expect(self, priors: LearnedPriors) -> None:
        kinds = sorted(priors)
        learned = [priors[kind] for kind in kinds]
        async with self._database.transaction() as connection:
            if not await try_lock(connection, AdvisoryLock.PRIORS):
                return
            relearned = await connection.fetch(
                """
                WITH given AS (
                    SELECT * FROM unnest($1::text[], $2::text[], $3::double precision[],
                                         $4::double precision[], $5::text[], $6::integer[],
                                         $7::double precision[], $8::double precision[])
                        AS g (pattern_type, business_category, successes, failures, source,
                              patterns, cautious_successes, cautious_failures)
                ), gone AS (
                    DELETE FROM learned_priors l
                     WHERE NOT EXISTS (SELECT 1 FROM given g
                                        WHERE (g.pattern_type, g.business_category)
                                            = (l.pattern_type, l.business_category))
                    RETURNING pattern_type, business_category
                ), learned AS (
                INSERT INTO learned_priors AS had (pattern_type, business_category, successes, failures, source,
                                            patterns, cautious_successes, cautious_failures)
                SELECT * FROM given
                ON CONFLICT (pattern_type, business_category) DO UPDATE
                   SET successes = excluded.successes, failures = excluded.failures,
                       source = excluded.source, patterns = excluded.patterns,
                       cautious_successes = excluded.cautious_successes,
                       cautious_failures = excluded.cautious_failures
                 WHERE (had.successes, had.failures) IS DISTINCT FROM
                       (excluded.successes, excluded.failures)
                    OR (had.source, had.patterns, had.cautious_successes, had.cautious_failures)
                       IS DISTINCT FROM (excluded.source, excluded.patterns,
                                         excluded.cautious_successes, excluded.cautious_failures)
                RETURNING pattern_type, business_category
                )
                -- An author's claim is shown beside what would be believed without it.
                SELECT DISTINCT p.scope_id, p.id
                  FROM (SELECT * FROM gone UNION ALL SELECT * FROM learned) l
                  JOIN network_patterns p
                    ON p.prior_source = 'author' AND l.pattern_type IN (p.pattern_type, '')
                   AND l.business_category IN (p.business_category, '')
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
            await touch(connection, [key_of(row) for row in relearned])


def _judged(rows: Sequence[Record], rule: PublicationRule, now_weight: float) -> list[Judged]:
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
                row["fact_spreads"],
            ),
            _recent(row, rule, now_weight),
        )
        for row in rows
    ]


def _recent(row: Record, rule: PublicationRule, now_weight: float) -> Outcomes:
    """The pattern's outcomes by age, in tenths of a trial: patterns that have the same teach the same."""
    counts = zip(
        row["trials"] or (),
        row["successes"] or (),
        row["recent_trials"] or (),
        row["recent_successes"] or (),
        strict=True,
    )
    shares = [
        Share(trials, successes, recent_trials / now_weight, recent_successes / now_weight)
        for trials, successes, recent_trials, recent_successes in counts
    ]
    trials, successes = (round(each, 1) for each in weigh(shares, rule.k).recent)
    return Outcomes(row["pattern_type"], row["business_category"], trials, successes)


def _within(successes: float, trials: float) -> float:
    """Successes within the trials, however sums were rounded."""
    return min(max(successes, 0.0), trials)
