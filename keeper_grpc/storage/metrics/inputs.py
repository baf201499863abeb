"""Gathers the inputs of the metrics. Every statement reads counts that triggers keep, not the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TypeAlias

from keeper_grpc.domain.metrics.inputs import (
    AccountCounts,
    Day,
    Gathered,
    Newcomer,
    PatternCounts,
    Prediction,
    Totals,
)
from keeper_grpc.domain.metrics.uplift import Arm
from keeper_grpc.storage.advice.adoption import reactions_since
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.publication import published
from keeper_grpc.storage.locks import AdvisoryLock, try_lock
from keeper_grpc.storage.metrics.uplift import experiment_outcomes

SHOWN_DAYS = 366
"""The newest days, which are listed one by one: a year for a chart. Older ones only count in the sums."""

MOST_CATEGORIES = 200
"""Most lines of business that are listed: callers name them, so there may be any number."""

Counted: TypeAlias = Sequence[str] | None
"""The categories that are counted; None is all of them."""

_SUMMED = """
    observations, questions, enhanced, from_elsewhere, confidence_added, advised_outcomes,
    advised_successes, advised_measured, advised_revenue, advised_retention_known,
    advised_retained, held_out_outcomes, held_out_successes, held_out_retention_known,
    held_out_retained
"""
"""The columns of daily_measures that add up."""


class PostgresMetrics:
    """The MetricsStore, VersionStore and FoldStore of usecases/metrics/."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def gather(self, business_category: str, start: datetime, k: int) -> Gathered:
        """All inputs since `start`, a midnight (UTC), of one category or (empty) of the whole network.

        The whole is that of all categories, or of those that are not withheld; see `_counted_in_the_whole`.
        """
        async with self._database.transaction(read_only=True) as connection:
            counted: Counted = [business_category]
            if not business_category:
                counted = await _counted_in_the_whole(connection, start, k)
            days = await _days(connection, counted, start)
            lags, predictions, revenues = await _advice(connection, counted, start)
            accounts = await _accounts(connection, counted, start)
            return Gathered(
                totals=await _totals(connection, counted, start),
                patterns=await _patterns(connection, business_category, counted, start, k),
                lags=lags,
                predictions=predictions,
                revenues=revenues,
                newcomers=await _newcomers(connection, counted, start),
                accounts=accounts,
                since=await _since(connection, counted),
                days=days,
                categories=await _categories(connection, start, k),
                reactions=await reactions_since(connection, counted, start),
                experiment=await experiment_outcomes(connection, business_category, qualified=True),
            )

    async def version(self) -> str:
        """A text that changes whenever a writing transaction ends: the database's current snapshot.

        Equal snapshots see equal rows, whichever transactions are open. Writes to any other table or database
        of the server change it too; only a row that every writer updates could exclude them, and all writers
        would wait for each other.
        """
        async with self._database.connection() as connection:
            version: str = await connection.fetchval("SELECT pg_current_snapshot()::text")
        return version

    async def fold(self, limit: int) -> int:
        """Add the oldest changes to their days; how many there were, 0 while another process folds."""
        async with self._database.transaction() as connection:
            if not await try_lock(connection, AdvisoryLock.FOLD):
                return 0
            folded: int = await connection.fetchval(_FOLD, limit)
        return folded


_FOLD = f"""
    WITH gone AS (
        DELETE FROM measure_changes
         WHERE id IN (SELECT id FROM measure_changes ORDER BY id LIMIT $1) RETURNING *
    ), added AS (
        INSERT INTO daily_measures AS d (day, business_category, {_SUMMED})
        SELECT day, business_category, {", ".join(f"sum({c})" for c in _SUMMED.split(","))}
          FROM gone GROUP BY 1, 2
        ON CONFLICT (day, business_category) DO UPDATE
           SET {", ".join(f"{c.strip()} = d.{c.strip()} + excluded.{c.strip()}" for c in _SUMMED.split(","))}
    )
    SELECT count(*) FROM gone
"""  # noqa: S608 - only constants are interpolated


async def _counted_in_the_whole(connection: Connection, start: datetime, k: int) -> Counted:
    """All categories if k owners are active in the withheld ones together, otherwise those with reports.

    The whole less all reports of categories would otherwise be what fewer than k owners did.
    """
    (row,) = await connection.fetch(
        """
        WITH active AS (
            SELECT DISTINCT a.business_category, a.owner_key
              FROM account_milestones m JOIN accounts a USING (account_key)
             WHERE m.last_active_day >= $1 AND a.qualified AND NOT a.forgetting
        ), shown AS (
            SELECT business_category FROM active GROUP BY 1 HAVING count(*) >= $2
        )
        SELECT ARRAY(SELECT business_category FROM shown) AS shown,
               (SELECT count(DISTINCT owner_key) FROM active
                 WHERE business_category NOT IN (SELECT business_category FROM shown)) AS withheld
        """,
        start.date(),
        k,
    )
    shown: Sequence[str] = row["shown"]
    return None if row["withheld"] >= k else shown


async def _totals(connection: Connection, counted: Counted, start: datetime) -> Totals:
    (row,) = await connection.fetch(
        """
        SELECT coalesce(sum(observations), 0)::bigint AS observations,
               coalesce(sum(questions), 0)::bigint AS questions,
               coalesce(sum(enhanced), 0)::bigint AS enhanced,
               coalesce(sum(from_elsewhere), 0)::bigint AS from_elsewhere,
               coalesce(sum(confidence_added), 0)::double precision AS confidence_added,
               coalesce(sum(advised_outcomes), 0)::bigint AS advised_outcomes,
               coalesce(sum(advised_successes), 0)::bigint AS advised_successes,
               coalesce(sum(advised_measured), 0)::bigint AS advised_measured,
               coalesce(sum(advised_revenue), 0)::double precision AS advised_revenue,
               coalesce(sum(advised_retention_known), 0)::bigint AS advised_retention_known,
               coalesce(sum(advised_retained), 0)::bigint AS advised_retained,
               coalesce(sum(held_out_outcomes), 0)::bigint AS held_out_outcomes,
               coalesce(sum(held_out_successes), 0)::bigint AS held_out_successes,
               coalesce(sum(held_out_retention_known), 0)::bigint AS held_out_retention_known,
               coalesce(sum(held_out_retained), 0)::bigint AS held_out_retained
          FROM current_measures
         WHERE day >= $2::date AND ($1::text[] IS NULL OR business_category = ANY ($1))
        """,
        counted,
        start.date(),
    )
    return Totals(
        observations=row["observations"],
        questions=row["questions"],
        enhanced=row["enhanced"],
        from_elsewhere=row["from_elsewhere"],
        confidence_added=row["confidence_added"],
        advised=Arm(row["advised_outcomes"], row["advised_successes"]),
        held_out=Arm(row["held_out_outcomes"], row["held_out_successes"]),
        advised_retention=Arm(row["advised_retention_known"], row["advised_retained"]),
        held_out_retention=Arm(row["held_out_retention_known"], row["held_out_retained"]),
        advised_measured=row["advised_measured"],
        advised_revenue=row["advised_revenue"],
    )


async def _days(connection: Connection, counted: Counted, start: datetime) -> Sequence[Day]:
    rows = await connection.fetch(
        """
        SELECT * FROM (
            SELECT day, sum(discovered)::bigint AS discovered,
                   sum(observations)::bigint AS observations, sum(questions)::bigint AS questions,
                   sum(enhanced)::bigint AS enhanced, sum(advised_outcomes)::bigint AS advised,
                   sum(advised_successes)::bigint AS advised_successes,
                   sum(held_out_outcomes)::bigint AS held_out,
                   sum(held_out_successes)::bigint AS held_out_successes
              FROM (SELECT day, 0 AS discovered, observations, questions, enhanced,
                           advised_outcomes, advised_successes, held_out_outcomes,
                           held_out_successes
                      FROM current_measures
                     WHERE day >= $2::date
                       AND ($1::text[] IS NULL OR business_category = ANY ($1))
                    UNION ALL
                    SELECT (first_discovered AT TIME ZONE 'UTC')::date, count(*), 0, 0, 0, 0, 0, 0,
                           0
                      FROM network_patterns
                     WHERE first_discovered >= $3 AND occurrence_count > 0 AND catalog_key IS NULL
                       AND ($1::text[] IS NULL OR business_category = ANY ($1)) GROUP BY 1) happened
             GROUP BY day ORDER BY day DESC LIMIT $4) newest
         ORDER BY day
        """,
        counted,
        start.date(),
        start,
        SHOWN_DAYS,
    )
    return [
        Day(
            day=row["day"],
            patterns_discovered=row["discovered"],
            observations=row["observations"],
            questions=row["questions"],
            enhanced=row["enhanced"],
            advised=Arm(row["advised"], row["advised_successes"]),
            held_out=Arm(row["held_out"], row["held_out_successes"]),
        )
        for row in rows
    ]


async def _patterns(
    connection: Connection, category: str, counted: Counted, start: datetime, k: int
) -> PatternCounts:
    """Published patterns are listed one by one: all of the category, or of the network, are counted."""
    (row,) = await connection.fetch(
        f"""
        SELECT count(*) FILTER (WHERE counted AND first_discovered >= $2 AND catalog_key IS NULL)
                   AS discovered,
               count(*) FILTER (WHERE counted AND last_validated >= $2) AS in_use,
               count(*) FILTER (WHERE counted AND last_validated >= $2 AND account_count >= 2)
                   AS shared,
               count(*) FILTER (WHERE {published("p", "$3")}) AS published
          FROM network_patterns p
         CROSS JOIN LATERAL (SELECT $1::text[] IS NULL OR business_category = ANY ($1)) c(counted)
         WHERE occurrence_count > 0 AND ($4 = '' OR business_category = $4)
        """,  # noqa: S608 - a constant
        counted,
        start,
        k,
        category,
    )
    return PatternCounts(row["discovered"], row["in_use"], row["shared"], row["published"])


async def _advice(
    connection: Connection, counted: Counted, start: datetime
) -> tuple[Sequence[float], Sequence[Prediction], Sequence[float]]:
    """The lags, predictions and revenues of patterns. A prediction counts all outcomes of its advice."""
    (row,) = await connection.fetch(
        """
        WITH given AS (
            SELECT pattern_id, min(first_advised_time) AS first_advised_time,
                   max(last_outcome_time) AS last_outcome_time,
                   sum(revenue)::double precision AS revenue, sum(outcomes) AS outcomes,
                   sum(successes) AS successes, sum(expected / 1e6::double precision) AS expected,
                   sum(variance / 1e6::double precision) AS variance,
                   sum(deviation / 1e6::double precision) AS deviation
              FROM pattern_advice
             WHERE $1::text[] IS NULL OR business_category = ANY ($1) GROUP BY pattern_id
        )
        SELECT (SELECT array_agg(greatest(0, extract(
                           epoch FROM g.first_advised_time - p.first_discovered))::double precision)
                  FROM given g JOIN network_patterns p ON p.id = g.pattern_id
                 WHERE g.first_advised_time >= $2 AND p.catalog_key IS NULL) AS lags,
               array_agg(revenue) AS revenues,
               array_agg(outcomes) AS outcomes, array_agg(successes) AS successes,
               array_agg(expected) AS expected, array_agg(variance) AS variance,
               array_agg(deviation) AS deviation
          FROM given WHERE last_outcome_time >= $2
        """,
        counted,
        start,
    )
    columns = ("outcomes", "successes", "expected", "variance", "deviation")
    predictions = [
        Prediction(*values)
        for values in zip(*(row[column] or () for column in columns), strict=True)
    ]
    return row["lags"] or (), predictions, row["revenues"] or ()


async def _accounts(connection: Connection, counted: Counted, start: datetime) -> AccountCounts:
    (row,) = await connection.fetch(
        """
        SELECT count(DISTINCT a.owner_key) FILTER (WHERE m.last_active_day >= $2)
                   AS active,
               count(DISTINCT a.owner_key) FILTER (WHERE m.last_asked_day >= $2)
                   AS asked,
               count(DISTINCT a.owner_key) FILTER (WHERE m.last_enhanced_day >= $2)
                   AS enhanced,
               count(DISTINCT a.owner_key) FILTER (WHERE m.last_observed_day >= $2)
                   AS observed,
               count(DISTINCT a.owner_key) FILTER (WHERE m.last_advised_day >= $2)
                   AS advised,
               count(DISTINCT a.owner_key) FILTER (WHERE m.last_revenue_day >= $2)
                   AS revenue,
               count(DISTINCT a.owner_key) FILTER (WHERE m.last_advised_retention_day >= $2)
                   AS advised_retention,
               count(DISTINCT a.owner_key) FILTER (WHERE m.last_held_out_day >= $2)
                   AS held_out,
               count(DISTINCT a.owner_key) FILTER (WHERE m.last_held_out_retention_day >= $2)
                   AS held_out_retention
          FROM account_milestones m JOIN accounts a USING (account_key)
         WHERE a.qualified AND NOT a.forgetting
           AND ($1::text[] IS NULL OR a.business_category = ANY ($1))
        """,
        counted,
        start.date(),
    )
    return AccountCounts(**row)


async def _categories(connection: Connection, start: datetime, k: int) -> Sequence[str]:
    rows = await connection.fetch(
        """
        SELECT a.business_category
          FROM account_milestones m JOIN accounts a USING (account_key)
         WHERE m.last_active_day >= $1 AND a.qualified AND NOT a.forgetting
         GROUP BY 1 HAVING count(DISTINCT a.owner_key) >= $2
         ORDER BY count(DISTINCT a.owner_key) DESC, 1 LIMIT $3
        """,
        start.date(),
        k,
        MOST_CATEGORIES,
    )
    return sorted(row["business_category"] for row in rows)


async def _since(connection: Connection, counted: Counted) -> date | None:
    first: date | None = await connection.fetchval(
        "SELECT min(day) FROM current_measures "
        "WHERE $1::text[] IS NULL OR business_category = ANY ($1)",
        counted,
    )
    return first


async def _newcomers(
    connection: Connection, counted: Counted, start: datetime
) -> Sequence[Newcomer]:
    (row,) = await connection.fetch(
        """
        SELECT array_agg(first_asked_enhanced) AS met,
               array_agg(extract(epoch FROM m.first_advised_time - a.joined_time)
                         ::double precision) AS advised_after,
               array_agg(extract(epoch FROM m.first_success_time - a.joined_time)
                         ::double precision) AS succeeded_after,
               array_agg(a.owner_key) AS owner_key
          FROM accounts a JOIN account_milestones m USING (account_key)
         WHERE a.registered AND a.joined_time >= $2 AND m.first_asked_time IS NOT NULL
           AND a.qualified AND NOT a.forgetting
           AND ($1::text[] IS NULL OR a.business_category = ANY ($1))
        """,
        counted,
        start,
    )
    columns = ("met", "advised_after", "succeeded_after", "owner_key")
    return [
        Newcomer(*values) for values in zip(*(row[column] or () for column in columns), strict=True)
    ]
