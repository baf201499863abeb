"""Finding the patterns that may answer a question, with the asking account's own evidence left out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from keeper_grpc.domain.advice.authored import StoredAuthored
from keeper_grpc.domain.advice.enhancement import Asked
from keeper_grpc.domain.advice.ranking import JUDGED, Candidate, Requirements, hurdle
from keeper_grpc.domain.evidence.evidence import recency_weight
from keeper_grpc.domain.evidence.expectation import NOWHERE
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Script
from keeper_grpc.domain.patterns.situation import facets
from keeper_grpc.storage.advice.authored import authored_candidates
from keeper_grpc.storage.advice.transfers import read_transfers, transfer_without
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.publication import enough_accounts
from keeper_grpc.storage.patterns.ann_indexes import PostgresAnnIndexes
from keeper_grpc.storage.patterns.keys import key_of
from keeper_grpc.storage.patterns.view import (
    columns,
    counts_for,
    see_harms,
    see_scripts,
    see_situations,
    see_words,
    shares,
    to_pattern,
    to_shares,
    weighed_totals,
)
from keeper_grpc.storage.patterns.words import action_in_words

ANN_CANDIDATES = 200
"""Nearest patterns that an approximate search fetches before the requirements are applied: it must
be a few times what is ranked, and hnsw.ef_search is set to the same."""

# Exact search: the btree finds the scope's rows, and the distance is computed once. $5 asks for patterns
# that may meet the requirements, or for any that is published, so that what is not does not crowd it out: what
# is judged is the evidence of the other accounts. It may meet them by its rate in all situations, also as its
# prior or its age raises it, or by the rate of what k owners know under one of the question's facets ($10), of which the
# expectation in the situation is made. Owners are averaged as well as summed, so that one with many outcomes
# does not hide the others'. Parts name the scope themselves: where tables are spread, one worker answers then. Which of these do meet them is decided by the expectation (`hurdle`).
_NEAREST = """
    WITH scoped AS MATERIALIZED (
        SELECT p.scope_id, p.id, p.distance, p.account_count, p.occurrence_count, p.success_count,
               p.prior_successes, p.prior_failures, {action} <> '' AS worded
          FROM (SELECT *, pattern_embedding <=> $3 AS distance FROM network_patterns
                 WHERE scope_id = $1 AND embedding_model = $2 AND retired_time IS NULL
                 {approximately}) p
    ), nearest AS (
        SELECT p.scope_id, p.id, p.distance FROM scoped p
         WHERE worded AND {published_to_others} AND (NOT $5 OR 1 - distance >= $11 AND EXISTS (
               SELECT 1 FROM (SELECT) one {weighed_totals}
                WHERE {enough_accounts} AND trials >= $7
                  AND (successes >= $8 * trials
                       OR p.prior_successes + successes
                          >= $8 * (p.prior_successes + p.prior_failures + trials)
                       OR EXISTS (
                          SELECT 1 FROM pattern_owners a
                           WHERE a.scope_id = $1 AND a.pattern_id = p.id AND {counts_for}
                          HAVING sum(a.recent_successes) >= $8 * sum(a.recent_trials))
                       OR EXISTS (
                          SELECT 1 FROM facet_owners a
                           WHERE a.scope_id = $1 AND a.pattern_id = p.id AND a.facet = ANY($10) AND {counts_for}
                           GROUP BY a.facet
                          HAVING {enough_owners}
                             AND greatest(sum(a.success_count) / sum(a.occurrence_count),
                                          avg(a.success_count / a.occurrence_count::double precision))
                                 >= $8))))
         ORDER BY distance LIMIT $9
    )
    SELECT {columns}, 1 - n.distance AS similarity
      FROM nearest n JOIN network_patterns p USING (scope_id, id)
      {shares}
     WHERE p.scope_id = $1
     ORDER BY n.distance
"""


def _nearest(approximately: str = "") -> str:
    return _NEAREST.format(
        approximately=approximately,
        action=action_in_words("p"),
        enough_accounts=enough_accounts("accounts", "$6"),
        published_to_others=enough_accounts("p.account_count", "$6"),
        weighed_totals=weighed_totals("$4", "$6", scope_id="$1"),
        counts_for=counts_for("$4"),
        enough_owners=enough_accounts("count(*)", "$6"),
        columns=columns("$1"),
        shares=shares("$4", "$1"),
    )


_EXACTLY = _nearest()
# Only this form can use a scope's ANN index: the nearest that are published first, what they are worth afterwards. Were
# those that are withheld among them, one account could crowd out all others with captures of its own.
_APPROXIMATELY = _nearest(
    f"AND {enough_accounts('account_count', '$6')} ORDER BY pattern_embedding <=> $3 LIMIT {ANN_CANDIDATES}"
)

_ELSEWHERE = "SELECT scope_id FROM scopes WHERE pattern_type = $1 AND scope_id <> $2"


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
            return [*found, *(one for one in fit if one.pattern.pattern_id not in known)]

    async def candidates_elsewhere(
        self, asked: Asked, requirements: Requirements, limit: int
    ) -> Sequence[Candidate]:
        """The nearest patterns of other categories that meet the requirements, with transfer."""
        async with self._search(approximately=False) as connection:
            scope = asked.scope
            rows = await connection.fetch(_ELSEWHERE, scope.pattern_type, scope.scope_id)
            scopes = [row["scope_id"] for row in rows]
            if not scopes:
                return []
            return await self._find(
                connection, _EXACTLY, asked, requirements, limit, fit=True, scopes=scopes
            )

    async def authored(self, asked: Asked, rule: PublicationRule) -> Sequence[StoredAuthored]:
        """The catalog's patterns for the account's category; see usecases/advice/enhance.py."""
        now_weight = recency_weight(self._clock(), self._half_life)
        async with self._database.connection() as connection:
            return await authored_candidates(connection, asked, rule, now_weight)

    async def _find(
        self,
        connection: Connection,
        query: str,
        asked: Asked,
        requirements: Requirements,
        limit: int,
        *,
        fit: bool,
        scopes: Sequence[int] = (),
    ) -> list[Candidate]:
        """The nearest, of these scopes or of the asked one; with `fit` only those that meet the requirements."""
        most = JUDGED if fit else limit
        rows = [
            row
            # One scope is one worker's, where tables are spread.
            for scope_id in scopes or [asked.scope.scope_id]
            for row in await connection.fetch(
                query,
                scope_id,
                asked.scope.embedding_model,
                asked.vector,
                asked.account_key,
                fit,
                requirements.rule.k,
                requirements.min_occurrences,
                requirements.min_success_rate,
                most,
                facets(asked.conditions),
                requirements.min_similarity,
            )
        ]
        rows = sorted(rows, key=lambda row: row["similarity"], reverse=True)[:most]
        rule, viewer = requirements.rule, asked.account_key
        now_weight = recency_weight(self._clock(), self._half_life)
        seen = {key_of(row): to_shares(row, now_weight) for row in rows}
        similar = {
            key_of(row): seen[key_of(row)]
            for row in rows
            if row["similarity"] >= requirements.min_similarity
        }
        harms = await see_harms(connection, seen, viewer)
        situations = await see_situations(
            connection, similar, asked.conditions, rule, viewer=viewer, now_weight=now_weight
        )
        transfers = await read_transfers(connection, asked.scope) if scopes and rows else {}
        words = await see_words(connection, rows, rule, viewer)
        candidates = [
            Candidate(
                to_pattern(
                    row,
                    seen[key_of(row)],
                    (),
                    rule,
                    words=words.get(row["id"]),
                    harms=harms.get(row["id"], {}),
                ),
                row["similarity"],
                situations.get(row["id"], NOWHERE),
                1.0
                if row["business_category"] == asked.scope.business_category
                else transfer_without(
                    transfers.get(row["business_category"], {}), asked.owner_key, rule
                ).discount,
            )
            for row in rows
        ]
        if fit:
            candidates = [one for one in candidates if hurdle(one, requirements) is None][:limit]
        ids = {candidate.pattern.pattern_id for candidate in candidates}
        scripts = await see_scripts(
            connection,
            {key: own for key, own in similar.items() if key.pattern_id in ids},
            rule,
            viewer,
            now_weight=now_weight,
        )
        return [_with_scripts(one, scripts.get(one.pattern.pattern_id, ())) for one in candidates]

    @asynccontextmanager
    async def _search(self, *, approximately: bool) -> AsyncIterator[Connection]:
        if not approximately:
            async with self._database.connection() as connection:
                yield connection
            return
        async with self._database.transaction() as connection:
            # On until so many are found, whatever else is near: 20,000 are looked at (hnsw.max_scan_tuples). A plan that
            # is kept knows no scope, and so none of the indexes, which are of one scope each.
            await connection.execute(
                f"""
                SET LOCAL hnsw.ef_search = {ANN_CANDIDATES}; SET LOCAL hnsw.iterative_scan = relaxed_order;
                SET LOCAL plan_cache_mode = force_custom_plan
                """
            )
            yield connection


def _with_scripts(candidate: Candidate, scripts: Sequence[Script]) -> Candidate:
    return replace(candidate, pattern=replace(candidate.pattern, scripts=tuple(scripts)))
