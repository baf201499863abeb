"""Reading patterns: one, a page of them, or the nearest to a question."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.listing import Cursor, PatternFilter
from keeper_grpc.domain.pattern import Pattern, Scope
from keeper_grpc.domain.publication import PublicationRule
from keeper_grpc.domain.ranking import Candidate, Requirements
from keeper_grpc.storage.ann_indexes import PostgresAnnIndexes
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.pattern_rows import COLUMNS, fetch_pattern, scripts_of, to_pattern

ANN_CANDIDATES = 200
"""Nearest patterns that an approximate search fetches before the requirements are applied: it must
be a few times what is ranked, and hnsw.ef_search is set to the same."""

# Exact search inside the scope: the btree finds the scope's rows, the distance is computed once, and
# the asking account's own share is taken off before anything is judged. $6 asks for patterns that
# meet the requirements, or for any.
_NEAREST = """
    WITH scoped AS MATERIALIZED (
        SELECT p.id, p.distance,
               p.occurrence_count - coalesce(own.occurrence_count, 0) AS trials,
               p.success_count - coalesce(own.success_count, 0)       AS successes,
               p.account_count - (own.account_key IS NOT NULL)::integer AS accounts,
               p.revenue_total - coalesce(own.revenue_total, 0)       AS revenue_total,
               p.revenue_count - coalesce(own.revenue_count, 0)       AS revenue_count
          FROM (SELECT *, pattern_embedding <=> $4 AS distance FROM network_patterns
                 WHERE pattern_type = $1 AND business_category = $2 AND embedding_model = $3
                 {approximately}) p
          LEFT JOIN pattern_accounts own ON own.pattern_id = p.id AND own.account_key = $5
    ), nearest AS (
        SELECT * FROM scoped
         WHERE NOT $6 OR (accounts >= $7 AND trials >= $8 AND successes >= $9 * trials)
         ORDER BY distance LIMIT $10
    )
    SELECT p.id, p.pattern_type, p.business_category, p.embedding_model, p.context,
           p.action_template, p.prior_successes, p.prior_failures,
           p.catalog_key IS NOT NULL AS authored, p.first_discovered, p.last_validated,
           1 - n.distance AS similarity, n.trials AS occurrence_count,
           n.successes AS success_count, n.accounts AS account_count,
           n.revenue_total, n.revenue_count,
           (SELECT coalesce(max(a.occurrence_count), 0) FROM pattern_accounts a
             WHERE a.pattern_id = p.id AND a.account_key <> $5) AS largest_account_occurrences
      FROM nearest n JOIN network_patterns p USING (id)
     ORDER BY n.distance
"""
_EXACTLY = _NEAREST.format(approximately="")
# Only this form can use a scope's ANN index: the nearest first, what they are worth afterwards.
_APPROXIMATELY = _NEAREST.format(
    approximately=f"ORDER BY pattern_embedding <=> $4 LIMIT {ANN_CANDIDATES}"
)

# Evidence that may not be shown counts as none, or the order and the filter would tell it.
_LIST = f"""
    WITH listed AS (
        SELECT {COLUMNS},
               CASE WHEN shown THEN p.confidence_score ELSE 0 END AS listed_score
          FROM (SELECT q.*, q.account_count >= $4
                            AND q.largest_account_occurrences * 2 <= q.occurrence_count AS shown
                  FROM network_patterns q
                 WHERE ($1 = '' OR q.pattern_type = $1)
                   AND ($2 = '' OR q.business_category = $2)) p
         WHERE (shown OR p.catalog_key IS NOT NULL)
           AND CASE WHEN shown THEN p.success_rate ELSE 0 END >= $3
    )
    SELECT * FROM listed
     WHERE $5::double precision IS NULL OR (-listed_score, id) > (-$5::double precision, $6::uuid)
     ORDER BY -listed_score, id LIMIT $7
"""  # noqa: S608 - only a constant is interpolated


class PostgresPatterns:
    """Patterns, for reading."""

    def __init__(self, database: Database, indexes: PostgresAnnIndexes) -> None:
        self._database = database
        self._indexes = indexes

    async def find_pattern(self, pattern_id: UUID) -> Pattern | None:
        """One pattern with all its evidence, published or not."""
        async with self._database.transaction(read_only=True) as connection:
            return await fetch_pattern(connection, pattern_id)

    async def list_patterns(
        self, where: PatternFilter, rule: PublicationRule, after: Cursor | None, limit: int
    ) -> Sequence[Pattern]:
        """Published or authored patterns in listing order: lower bound descending, then id."""
        async with self._database.transaction(read_only=True) as connection:
            rows = await connection.fetch(
                _LIST,
                where.pattern_type,
                where.business_category,
                where.min_success_rate,
                rule.k,
                after.lower_bound if after else None,
                after.pattern_id if after else None,
                limit,
            )
            scripts = await scripts_of(connection, [row["id"] for row in rows])
        return [to_pattern(row, scripts.get(row["id"], [])) for row in rows]

    @asynccontextmanager
    async def _search(self, *, approximately: bool) -> AsyncIterator[Connection]:
        if not approximately:
            async with self._database.connection() as connection:
                yield connection
            return
        async with self._database.transaction() as connection:
            await connection.execute(f"SET LOCAL hnsw.ef_search = {ANN_CANDIDATES}")
            yield connection

    async def candidates(
        self,
        scope: Scope,
        vector: NDArray[np.float32],
        account_key: str,
        requirements: Requirements,
        limit: int,
    ) -> Sequence[Candidate]:
        """The nearest patterns that may meet the requirements, else the nearest of any kind.

        Evidence and scripts leave the asking account out.
        """
        approximately = self._indexes.covers(scope)
        async with self._search(approximately=approximately) as connection:
            for only_eligible in (True, False):
                rows = await connection.fetch(
                    _APPROXIMATELY if approximately else _EXACTLY,
                    scope.pattern_type,
                    scope.business_category,
                    scope.embedding_model,
                    vector,
                    account_key,
                    only_eligible,
                    requirements.rule.k,
                    requirements.min_occurrences,
                    requirements.min_success_rate,
                    limit,
                )
                if any(row["similarity"] >= requirements.min_similarity for row in rows):
                    break
            scripts = await scripts_of(connection, [row["id"] for row in rows], account_key)
        return [
            Candidate(to_pattern(row, scripts.get(row["id"], [])), row["similarity"])
            for row in rows
        ]
