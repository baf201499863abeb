"""Finding the patterns that may answer a question, with the asking account's own evidence left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from keeper_grpc.domain.advice.enhancement import Asked
from keeper_grpc.domain.advice.ranking import Candidate, Requirements, hurdle
from keeper_grpc.domain.advice.transfer import TransferRecord, TransferShare, transfer_record
from keeper_grpc.domain.evidence.evidence import recency_weight
from keeper_grpc.domain.evidence.expectation import NOWHERE
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.publication import enough_accounts
from keeper_grpc.storage.patterns.ann_indexes import PostgresAnnIndexes
from keeper_grpc.storage.patterns.view import (
    COLUMNS,
    counts_for,
    see_scripts,
    see_situations,
    shares,
    to_pattern,
    to_shares,
    weighed_totals,
)
from keeper_grpc.storage.patterns.words import action_in_words

ANN_CANDIDATES = 200
"""Nearest patterns that an approximate search fetches before the requirements are applied: it must
be a few times what is ranked, and hnsw.ef_search is set to the same."""

# Exact search: the btree finds the scope's rows, and the distance is computed once. $6 asks for patterns
# that meet the requirements, or for any that is published, so that what is not does not crowd it out: what is
# judged is the evidence of the other accounts.
_NEAREST = """
    WITH scoped AS MATERIALIZED (
        SELECT p.id, p.distance, p.account_count, p.occurrence_count, p.success_count,
               {action} <> '' AS worded
          FROM (SELECT *, pattern_embedding <=> $4 AS distance FROM network_patterns
                 WHERE pattern_type = $1 AND business_category {category} $2
                   AND embedding_model = $3 AND retired_time IS NULL
                 {approximately}) p
    ), nearest AS (
        SELECT p.id, p.distance FROM scoped p
         WHERE worded AND {published_to_others} AND (NOT $6 OR EXISTS (
               SELECT FROM (SELECT) one {weighed_totals}
                WHERE {enough_accounts} AND trials >= $8
                  AND coalesce(successes / nullif(trials, 0)::double precision, 0) >= $9))
         ORDER BY distance LIMIT $10
    )
    SELECT {columns}, 1 - n.distance AS similarity
      FROM nearest n JOIN network_patterns p USING (id)
      {shares}
     ORDER BY n.distance
"""


def _nearest(category: str, approximately: str = "") -> str:
    return _NEAREST.format(
        category=category,
        approximately=approximately,
        action=action_in_words("p"),
        enough_accounts=enough_accounts("accounts", "$7"),
        published_to_others=enough_accounts("p.account_count", "$7"),
        weighed_totals=weighed_totals("$5", "$7"),
        columns=COLUMNS,
        shares=shares("$5"),
    )


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
        rule, viewer = requirements.rule, asked.account_key
        now_weight = recency_weight(self._clock(), self._half_life)
        seen = {row["id"]: to_shares(row, now_weight) for row in rows}
        similar = {
            row["id"]: seen[row["id"]]
            for row in rows
            if row["similarity"] >= requirements.min_similarity
        }
        scripts = await see_scripts(connection, similar, rule, viewer, now_weight=now_weight)
        situations = await see_situations(
            connection, similar, asked.conditions, rule, viewer=viewer, now_weight=now_weight
        )
        transfers = (
            await _transfers(connection, asked, rule) if query is _ELSEWHERE and rows else {}
        )
        return [
            Candidate(
                to_pattern(row, seen[row["id"]], scripts.get(row["id"], ()), rule),
                row["similarity"],
                situations.get(row["id"], NOWHERE),
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


async def _transfers(
    connection: Connection, asked: Asked, rule: PublicationRule
) -> Mapping[str, TransferRecord]:
    """What became here of other categories' patterns, by category.

    The discount is shown, so it must not tell what became of them at a few owners.
    """
    rows = await connection.fetch(
        f"""
        SELECT p.business_category, count(*) AS trials,
               sum(e.expected_success_rate / e.transfer) AS expected,
               count(*) FILTER (WHERE o.success) AS successes
          FROM observations o
          JOIN accounts a
            ON a.account_key = o.account_key AND a.qualified
           AND a.business_category = o.business_category
          JOIN enhancements e ON e.id = o.enhancement_id AND NOT e.holdout
          JOIN network_patterns p ON p.id = e.pattern_id
         WHERE o.enhancement_id IS NOT NULL AND o.pattern_type = $1
           AND o.business_category = $2 AND p.business_category <> $2
           AND {counts_for("$3")}
         GROUP BY p.business_category, a.owner_key
        """,  # noqa: S608 - only the parameter's name is interpolated
        asked.scope.pattern_type,
        asked.scope.business_category,
        asked.account_key,
    )
    shares: dict[str, list[TransferShare]] = defaultdict(list)
    for category, *share in rows:
        shares[category].append(TransferShare(*share))
    return {category: transfer_record(owned, rule) for category, owned in shares.items()}
