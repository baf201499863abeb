"""Finding the patterns that may answer a question, with the asking account's own evidence left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from keeper_grpc.domain.advice.enhancement import Asked
from keeper_grpc.domain.advice.ranking import Candidate, Requirements, hurdle
from keeper_grpc.domain.advice.transfer import TransferRecord
from keeper_grpc.domain.evidence.evidence import Evidence, Share, recency_weight
from keeper_grpc.domain.evidence.expectation import SituationEvidence
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.situation import facts, whole
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.publication import enough_accounts
from keeper_grpc.storage.patterns.ann_indexes import PostgresAnnIndexes
from keeper_grpc.storage.patterns.rows import scripts_of, to_pattern

if TYPE_CHECKING:
    from asyncpg import Record

ANN_CANDIDATES = 200
"""Nearest patterns that an approximate search fetches before the requirements are applied: it must
be a few times what is ranked, and hnsw.ef_search is set to the same."""

# Exact search: the btree finds the scope's rows, the distance is computed once, and the asking
# account's own share is taken off before anything is judged. $6 asks for patterns that meet the
# requirements, or for any; whose largest share is too large is told afterwards, from the shares.
_NEAREST = """
    WITH scoped AS MATERIALIZED (
        SELECT p.id, p.distance,
               p.occurrence_count - coalesce(own.occurrence_count, 0) AS trials,
               p.success_count - coalesce(own.success_count, 0)       AS successes,
               p.account_count - (own.account_key IS NOT NULL)::integer AS accounts,
               p.revenue_total - coalesce(own.revenue_total, 0)       AS revenue_total,
               p.revenue_count - coalesce(own.revenue_count, 0)       AS revenue_count,
               p.recent_trials - coalesce(own.recent_trials, 0)       AS recent_trials,
               p.recent_successes - coalesce(own.recent_successes, 0) AS recent_successes
          FROM (SELECT *, pattern_embedding <=> $4 AS distance FROM network_patterns
                 WHERE pattern_type = $1 AND business_category {category} $2
                   AND embedding_model = $3
                 {approximately}) p
          LEFT JOIN pattern_accounts own ON own.pattern_id = p.id AND own.account_key = $5
    ), nearest AS (
        SELECT * FROM scoped
         WHERE NOT $6 OR ({enough_accounts} AND trials >= $8 AND successes >= $9 * trials)
         ORDER BY distance LIMIT $10
    )
    SELECT p.id, p.pattern_type, p.business_category, p.embedding_model, p.context,
           p.action_template, p.prior_successes, p.prior_failures,
           p.catalog_key IS NOT NULL AS authored, p.first_discovered, p.last_validated,
           1 - n.distance AS similarity, n.trials AS occurrence_count,
           n.successes AS success_count, n.accounts AS account_count,
           n.revenue_total, n.revenue_count, n.recent_trials, n.recent_successes,
           coalesce(busiest.trials[1], 0) AS largest_account_occurrences,
           revenue.accounts AS revenue_accounts, revenue.largest AS largest_revenue_count,
           busiest.trials AS busiest_trials, busiest.successes AS busiest_successes
      FROM nearest n JOIN network_patterns p USING (id)
      LEFT JOIN LATERAL (
           SELECT array_agg(b.occurrence_count) AS trials, array_agg(b.success_count) AS successes
             FROM (SELECT occurrence_count, success_count FROM pattern_accounts a
                    WHERE a.pattern_id = p.id AND a.account_key <> $5
                    ORDER BY occurrence_count DESC, account_key LIMIT $7) b) busiest ON true
      LEFT JOIN LATERAL (
           SELECT count(*)::integer AS accounts, coalesce(max(a.revenue_count), 0) AS largest
             FROM pattern_accounts a
            WHERE a.pattern_id = p.id AND a.account_key <> $5 AND a.revenue_count > 0
           ) revenue ON true
     ORDER BY n.distance
"""


def _nearest(category: str, approximately: str = "") -> str:
    enough = enough_accounts("accounts", "$7")
    return _NEAREST.format(category=category, approximately=approximately, enough_accounts=enough)


_EXACTLY = _nearest("=")
# Only this form can use a scope's ANN index: the nearest first, what they are worth afterwards.
_APPROXIMATELY = _nearest("=", f"ORDER BY pattern_embedding <=> $4 LIMIT {ANN_CANDIDATES}")
_ELSEWHERE = _nearest("<>")


class PostgresCandidates:
    """Patterns as one asking account may see them."""

    def __init__(
        self,
        database: Database,
        indexes: PostgresAnnIndexes,
        *,
        half_life: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._indexes = indexes
        self._half_life = half_life
        self._clock = clock

    async def candidates(
        self, asked: Asked, requirements: Requirements, limit: int
    ) -> Sequence[Candidate]:
        """The nearest patterns of the account's category; see usecases/advice/enhance.py."""
        approximately = self._indexes.covers(asked.scope)
        query = _APPROXIMATELY if approximately else _EXACTLY
        async with self._search(approximately=approximately) as connection:
            found = await self._find(connection, query, asked, requirements, limit, fit=False)
            if any(hurdle(candidate, requirements) is None for candidate in found):
                return found
            if len(found) < limit:  # that was all there is
                return found
            fit = await self._find(connection, query, asked, requirements, limit, fit=True)
            known = {candidate.pattern.pattern_id for candidate in found}
            return [
                *found,
                # One that the publication rule withholds after all must not show that it was near.
                *(
                    candidate
                    for candidate in fit
                    if candidate.pattern.pattern_id not in known
                    and hurdle(candidate, requirements) is None
                ),
            ]

    async def candidates_elsewhere(
        self, asked: Asked, requirements: Requirements, limit: int
    ) -> Sequence[Candidate]:
        """The nearest patterns of other categories that meet the requirements, with transfer."""
        async with self._search(approximately=False) as connection:
            return await self._find(connection, _ELSEWHERE, asked, requirements, limit, fit=True)

    async def _find(
        self,
        connection: Connection,
        query: str,
        asked: Asked,
        requirements: Requirements,
        limit: int,
        *,
        fit: bool,
    ) -> list[Candidate]:
        rows = await connection.fetch(
            query,
            asked.scope.pattern_type,
            asked.scope.business_category,
            asked.scope.embedding_model,
            asked.vector,
            asked.account_key,
            fit,
            requirements.rule.k,
            requirements.min_occurrences,
            requirements.min_success_rate,
            limit,
        )
        ids = [row["id"] for row in rows if row["similarity"] >= requirements.min_similarity]
        scripts = await scripts_of(connection, ids, asked.account_key)
        situations = await _situations(connection, ids, asked)
        transfers = (
            await _transfers(connection, asked, requirements.rule)
            if query is _ELSEWHERE and rows
            else {}
        )
        today = recency_weight(self._clock(), self._half_life)
        return [
            Candidate(
                to_pattern(row, scripts.get(row["id"], []), _weights(row, today)),
                row["similarity"],
                situations[row["id"]],
                1.0
                if row["business_category"] == asked.scope.business_category
                else transfers.get(row["business_category"], TransferRecord()).discount,
            )
            for row in rows
        ]

    @asynccontextmanager
    async def _search(self, *, approximately: bool) -> AsyncIterator[Connection]:
        if not approximately:
            async with self._database.connection() as connection:
                yield connection
            return
        async with self._database.transaction() as connection:
            await connection.execute(f"SET LOCAL hnsw.ef_search = {ANN_CANDIDATES}")
            yield connection


async def _situations(
    connection: Connection, pattern_ids: Collection[UUID], asked: Asked
) -> Mapping[UUID, SituationEvidence]:
    """Each pattern's evidence in the question's situation, the asking account's own left out."""
    if not pattern_ids:
        return defaultdict(lambda: SituationEvidence(Evidence()))
    entire, single = whole(asked.conditions), facts(asked.conditions)
    rows = await connection.fetch(
        """
        SELECT pattern_id, facet, sum(occurrence_count)::bigint AS trials,
               sum(success_count)::bigint AS successes, count(*)::integer AS accounts,
               max(occurrence_count) AS largest_account_trials
          FROM pattern_facets
         WHERE pattern_id = ANY($1::uuid[]) AND facet = ANY($2::text[]) AND account_key <> $3
         GROUP BY pattern_id, facet
        """,
        list(pattern_ids),
        [entire, *single],
        asked.account_key,
    )
    found: dict[UUID, dict[str, Evidence]] = defaultdict(dict)
    for row in rows:
        found[row["pattern_id"]][row["facet"]] = Evidence(
            row["trials"], row["successes"], row["accounts"], row["largest_account_trials"]
        )
    return defaultdict(
        lambda: SituationEvidence(Evidence()),
        {
            pattern_id: SituationEvidence(
                whole=facets.get(entire, Evidence()),
                facts=tuple(facets[fact] for fact in single if fact in facets),
            )
            for pattern_id, facets in found.items()
        },
    )


async def _transfers(
    connection: Connection, asked: Asked, rule: PublicationRule
) -> Mapping[str, TransferRecord]:
    """What became here of other categories' patterns, by category.

    The discount is shown, so it must not tell what became of them at a few accounts.
    """
    rows = await connection.fetch(
        """
        SELECT business_category, sum(expected) AS expected, sum(successes)::integer AS successes,
               sum(trials)::integer AS trials, count(*)::integer AS accounts,
               max(trials)::integer AS largest_account_trials
          FROM (SELECT p.business_category, o.account_key, count(*) AS trials,
                       sum(e.expected_success_rate / e.transfer) AS expected,
                       count(*) FILTER (WHERE o.success) AS successes
                  FROM observations o
                  JOIN enhancements e ON e.id = o.enhancement_id AND NOT e.holdout
                  JOIN network_patterns p ON p.id = e.pattern_id
                 WHERE o.enhancement_id IS NOT NULL AND o.pattern_type = $1
                   AND o.business_category = $2 AND p.business_category <> $2
                   AND o.account_key <> $3
                 GROUP BY 1, 2) share
         GROUP BY 1
        """,
        asked.scope.pattern_type,
        asked.scope.business_category,
        asked.account_key,
    )
    return {
        row["business_category"]: TransferRecord(row["expected"], row["successes"])
        for row in rows
        if not rule.withheld(
            Evidence(
                row["trials"], row["successes"], row["accounts"], row["largest_account_trials"]
            )
        )
    }


def _weights(row: Record, today: float) -> tuple[float, float, tuple[Share, ...]]:
    """Recent trials and successes as of today, and the busiest accounts' shares."""
    busiest = zip(row["busiest_trials"] or (), row["busiest_successes"] or (), strict=True)
    return (
        # Subtracting an account's share may leave a rounding error below zero.
        max(row["recent_trials"], 0.0) / today,
        max(row["recent_successes"], 0.0) / today,
        tuple(Share(trials, successes) for trials, successes in busiest),
    )
