"""Gathers the inputs of the metrics. Every statement reads counts that writers keep, not the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TypeAlias, TypeVar

from keeper_grpc.domain.metrics.inputs import (
    AccountCounts,
    Day,
    Family,
    Gathered,
    Newcomer,
    PatternCounts,
    Prediction,
    Totals,
)
from keeper_grpc.domain.metrics.uplift import Arm
from keeper_grpc.storage.advice.adoption import reactions_since
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.publication import enough_accounts, published
from keeper_grpc.storage.locks import AdvisoryLock, try_lock
from keeper_grpc.storage.metrics.uplift import experiment_outcomes
from keeper_grpc.storage.replica import Reads

SHOWN_DAYS = 366
"""The newest days, which are listed one by one: a year for a chart. Older ones only count in the sums."""

MOST_CATEGORIES = 200
"""Most lines of business that are listed: callers name them, so there may be any number."""

Counted: TypeAlias = Sequence[str] | None
"""The categories that are counted; None is all of them."""

_Read = TypeVar("_Read")

_SUMMED = """
    observations, questions, enhanced, from_elsewhere, confidence_added, exploration_loss,
    advised_outcomes, advised_successes, advised_measured, advised_revenue, advised_retention_known,
    advised_retained, held_out_outcomes, held_out_successes, held_out_retention_known,
    held_out_retained
"""
"""The columns of daily_measures that add up."""


class PostgresMetrics:
    """The MetricsStore, VersionStore and FoldStore of usecases/metrics/."""

    def __init__(self, database: Database, reads: Reads | None = None) -> None:
        """Reports are made of `reads` where there are some, which may be a standby."""
        self._database = database
        self._reads: Reads = reads or database

    async def gather(self, business_category: str, start: datetime, k: int) -> Gathered:
        """All inputs since `start`, a midnight (UTC), of one category or (empty) of the whole network.

        The whole is that of all categories, or of those that do not withhold the metric; see
        `_counted_in_the_whole`.
        """
        async with self._reads.transaction(read_only=True) as connection:
            counted: Mapping[Family, Counted] = {family: [business_category] for family in Family}
            if not business_category:
                counted = await _counted_in_the_whole(connection, start, k)
            advice = await _by_family(connection, _advice, counted, start)
            active, observed = counted[Family.ACTIVE], counted[Family.OBSERVED]
            return Gathered(
                totals=_joined_totals(await _by_family(connection, _totals, counted, start)),
                patterns=await _patterns(connection, business_category, observed, start, k),
                lags=advice[Family.ENHANCED].lags,
                predictions=advice[Family.ADVISED].predictions,
                paid_patterns=len(advice[Family.REVENUE].predictions),
                newcomers=await _newcomers(connection, counted[Family.JOINED], start),
                accounts=_joined_accounts(await _by_family(connection, _accounts, counted, start)),
                since=await _since(connection, active),
                days=_joined_days(await _by_family(connection, _days, counted, start)),
                categories=await _categories(connection, start, k),
                reactions=await reactions_since(connection, counted[Family.REACTED], start),
                experiment=await experiment_outcomes(connection, business_category),
            )

    async def version(self) -> str:
        """A text that changes whenever a writing transaction ends: the database's current snapshot.

        Equal snapshots see equal rows, whichever transactions are open. Writes to any other table or database
        of the server change it too; only a row that every writer updates could exclude them, and all writers
        would wait for each other.
        """
        async with self._reads.connection() as connection:
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


_FAMILIES = [(family.name, deed.value) for family in Family for deed in family.value]

_COUNTED = """
    WITH did AS MATERIALIZED (
        SELECT DISTINCT a.business_category, a.owner_key, d.deed
          FROM account_milestones m JOIN accounts a USING (account_key)
         CROSS JOIN LATERAL (VALUES
               ('active', m.last_active_day >= $2::date),
               ('observed', m.last_observed_day >= $2::date),
               ('asked', m.last_asked_day >= $2::date),
               ('enhanced', m.last_enhanced_day >= $2::date),
               ('advised', m.last_advised_day >= $2::date),
               ('revenue', m.last_revenue_day >= $2::date),
               ('advised_retention', m.last_advised_retention_day >= $2::date),
               ('held_out', m.last_held_out_day >= $2::date),
               ('held_out_retention', m.last_held_out_retention_day >= $2::date),
               ('joined', a.registered AND a.joined_time >= $1 AND m.first_asked_time IS NOT NULL)
               ) d(deed, done)
         WHERE a.qualified AND NOT a.forgetting AND d.done
         UNION
        SELECT e.business_category, a.owner_key, 'reacted'
          FROM adopted_advice e JOIN accounts a USING (account_key)
         WHERE e.adopted_time >= $1 AND a.qualified AND NOT a.forgetting
    ), families AS (
        SELECT * FROM unnest($4::text[], $5::text[]) f(family, deed)
    ), shown AS (
        SELECT f.family, c.business_category
          FROM families f
          JOIN (SELECT business_category, deed FROM did GROUP BY 1, 2 HAVING count(*) >= $3) c
         USING (deed)
         GROUP BY 1, 2
        HAVING count(*) = (SELECT count(*) FROM families n WHERE n.family = f.family)
    ), withheld AS (
        SELECT f.family, f.deed, count(DISTINCT d.owner_key) AS owners
          FROM families f
          LEFT JOIN did d
            ON d.deed = f.deed AND NOT EXISTS (
               SELECT 1 FROM shown s
                WHERE s.family = f.family AND s.business_category = d.business_category)
         GROUP BY 1, 2
    )
    SELECT family, min(owners) >= $3 AS whole,
           ARRAY(SELECT s.business_category FROM shown s WHERE s.family = w.family ORDER BY 1)
               AS shown
      FROM withheld w GROUP BY family
"""


async def _counted_in_the_whole(
    connection: Connection, start: datetime, k: int
) -> Mapping[Family, Counted]:
    """For each family all categories, if k owners are behind it in those together that withhold it, otherwise
    those that show it.

    The whole less all reports of categories would otherwise be what fewer than k owners did.
    """
    families, deeds = zip(*_FAMILIES, strict=True)
    rows = await connection.fetch(_COUNTED, start, start.date(), k, families, deeds)
    return {Family[row["family"]]: None if row["whole"] else row["shown"] for row in rows}


async def _by_family(
    connection: Connection,
    read: Callable[[Connection, Counted, datetime], Awaitable[_Read]],
    counted: Mapping[Family, Counted],
    start: datetime,
) -> Mapping[Family, _Read]:
    """What is read of each family's categories, once for families with the same: mostly one reading."""
    known: dict[tuple[str, ...] | None, _Read] = {}
    found: dict[Family, _Read] = {}
    for family, categories in counted.items():
        key = None if categories is None else tuple(categories)
        if key not in known:
            known[key] = await read(connection, categories, start)
        found[family] = known[key]
    return found


def _joined_totals(totals: Mapping[Family, Totals]) -> Totals:
    """Each sum from its family."""
    asked, enhanced, compared = (
        totals[family] for family in (Family.ASKED, Family.ENHANCED, Family.COMPARED)
    )
    retention, revenue = totals[Family.RETENTION], totals[Family.REVENUE]
    return Totals(
        observations=totals[Family.OBSERVED].observations,
        questions=asked.questions,
        answered=asked.answered,
        enhanced=enhanced.enhanced,
        from_elsewhere=enhanced.from_elsewhere,
        confidence_added=enhanced.confidence_added,
        exploration_loss=enhanced.exploration_loss,
        advised=totals[Family.ADVISED].advised,
        compared=compared.compared,
        held_out=compared.held_out,
        advised_retention=retention.advised_retention,
        held_out_retention=retention.held_out_retention,
        advised_measured=revenue.advised_measured,
        advised_revenue=revenue.advised_revenue,
    )


def _joined_accounts(accounts: Mapping[Family, AccountCounts]) -> AccountCounts:
    """Each count of owners from its family."""
    return AccountCounts(
        active=accounts[Family.ACTIVE].active,
        asked=accounts[Family.ASKED].asked,
        enhanced=accounts[Family.ENHANCED].enhanced,
        observed=accounts[Family.OBSERVED].observed,
        advised=accounts[Family.ADVISED].advised,
        revenue=accounts[Family.REVENUE].revenue,
        advised_retention=accounts[Family.RETENTION].advised_retention,
        held_out=accounts[Family.COMPARED].held_out,
        held_out_retention=accounts[Family.RETENTION].held_out_retention,
    )


def _joined_days(days: Mapping[Family, Sequence[Day]]) -> Sequence[Day]:
    """Each count of a day from its family; the newest days of any."""
    by_day = {family: {each.day: each for each in listed} for family, listed in days.items()}
    dates = sorted(set().union(*by_day.values()))[-SHOWN_DAYS:]

    def of(family: Family, day: date) -> Day:
        return by_day[family].get(day) or Day(day)

    return [
        replace(
            of(Family.OBSERVED, day),
            questions=of(Family.ASKED, day).questions,
            enhanced=of(Family.ASKED, day).enhanced,
            advised=of(Family.ADVISED, day).advised,
            held_out=of(Family.COMPARED, day).held_out,
        )
        for day in dates
    ]


async def _totals(connection: Connection, counted: Counted, start: datetime) -> Totals:
    (row,) = await connection.fetch(
        """
        SELECT coalesce(sum(observations), 0)::bigint AS observations,
               coalesce(sum(questions), 0)::bigint AS questions,
               coalesce(sum(enhanced), 0)::bigint AS enhanced,
               coalesce(sum(from_elsewhere), 0)::bigint AS from_elsewhere,
               coalesce(sum(confidence_added), 0)::double precision AS confidence_added,
               coalesce(sum(exploration_loss), 0)::double precision AS exploration_loss,
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
        answered=row["enhanced"],
        enhanced=row["enhanced"],
        from_elsewhere=row["from_elsewhere"],
        confidence_added=row["confidence_added"],
        exploration_loss=row["exploration_loss"],
        advised=Arm(row["advised_outcomes"], row["advised_successes"]),
        compared=Arm(row["advised_outcomes"], row["advised_successes"]),
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
    (row,) = await connection.fetch(
        """
        SELECT count(*) FILTER (WHERE first_discovered >= $2 AND catalog_key IS NULL) AS discovered,
               count(*) FILTER (WHERE last_validated >= $2) AS in_use,
               count(*) FILTER (WHERE last_validated >= $2 AND account_count >= 2) AS shared
          FROM network_patterns
         WHERE occurrence_count > 0 AND ($1::text[] IS NULL OR business_category = ANY ($1))
           AND ($3 = '' OR business_category = $3)
        """,
        counted,
        start,
        category,
    )
    return PatternCounts(
        row["discovered"],
        row["in_use"],
        row["shared"],
        await count_published(connection, category, k),
    )


_PUBLISHED = f"""
    SELECT (SELECT count(*) FROM network_patterns
             WHERE catalog_key IS NULL AND retired_time IS NULL AND occurrence_count > 0
               AND shown_action <> ''
               AND {enough_accounts("account_count", "$1")} AND ($2 = '' OR business_category = $2))
         + (SELECT count(*) FROM network_patterns p
             WHERE catalog_key IS NULL AND retired_time IS NULL AND occurrence_count > 0
               AND shown_action = '' AND worded_from IS NOT NULL
               AND {published("p", "$1")} AND ($2 = '' OR business_category = $2))
         + (SELECT count(*) FROM network_patterns p
             WHERE catalog_key IS NOT NULL AND occurrence_count > 0
               AND {published("p", "$1")} AND ($2 = '' OR business_category = $2))
"""  # noqa: S608 - only constants are interpolated


async def count_published(connection: Connection, category: str, k: int) -> int:
    """Patterns that are published, of one category or (empty) of the network. They are listed one by one, so none is
    withheld here.

    In three parts, of which the first, nearly all, is counted in an index: rows are as wide as their vectors.
    """
    count: int = await connection.fetchval(_PUBLISHED, k, category)
    return count


@dataclass(frozen=True, slots=True)
class _Advice:
    """The lags and predictions of patterns; see `Gathered`."""

    lags: Sequence[float]
    predictions: Sequence[Prediction]


async def _advice(connection: Connection, counted: Counted, start: datetime) -> _Advice:
    (row,) = await connection.fetch(
        """
        WITH given AS (
            SELECT scope_id, pattern_id, min(first_advised_time) AS first_advised_time,
                   max(last_outcome_time) AS last_outcome_time,
                   sum(outcomes) AS outcomes,
                   sum(successes) AS successes, sum(expected / 1e6::double precision) AS expected,
                   sum(variance / 1e6::double precision) AS variance,
                   sum(deviation / 1e6::double precision) AS deviation
              FROM pattern_advice
             WHERE $1::text[] IS NULL OR business_category = ANY ($1)
             GROUP BY scope_id, pattern_id
        )
        SELECT (SELECT array_agg(greatest(0, extract(
                           epoch FROM g.first_advised_time - p.first_discovered))::double precision)
                  FROM given g JOIN network_patterns p ON p.scope_id = g.scope_id AND p.id = g.pattern_id
                 WHERE g.first_advised_time >= $2 AND p.catalog_key IS NULL) AS lags,
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
    return _Advice(row["lags"] or (), predictions)


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
