"""The one transaction of a capture."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import asyncpg
import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.errors import AccountBeingForgotten
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.priors import DEFAULT_PRIOR
from keeper_grpc.domain.insight import AnonymizationReport, DroppedField, UnknownWord
from keeper_grpc.domain.observation import Disposition, Observation, Recorded, Vectors
from keeper_grpc.domain.patterns.pattern import Neighbour, Pattern, PatternKey, Scope
from keeper_grpc.storage.accounts.unknown_words import record_words
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.emerging.sightings import insert_sighting
from keeper_grpc.storage.locks import lock_searched_scope
from keeper_grpc.storage.patterns.centres import place_action
from keeper_grpc.storage.patterns.ledger import append_observation
from keeper_grpc.storage.patterns.versions import open_scope
from keeper_grpc.storage.patterns.view import see_pattern
from keeper_grpc.storage.scope_turns import ScopeTurns


class PostgresCaptures:
    """Begins capture transactions."""

    def __init__(self, database: Database, counting: Counting, turns: ScopeTurns) -> None:
        self._database = database
        self._counting = counting
        self._turns = turns

    @asynccontextmanager
    async def capture(self, scope: Scope) -> AsyncIterator[PostgresCapture]:
        """A transaction in a scope that commits at the end of the block unless that raises."""
        try:
            async with self._turns.turn(scope), self._database.transaction() as connection:
                yield PostgresCapture(connection, self._counting)
        except asyncpg.ForeignKeyViolationError as error:
            # Only the account's row can be gone: it was forgotten since the call began.
            raise AccountBeingForgotten from error


class PostgresCapture:
    """One capture's reads and writes; see usecases/patterns/capture.py for what each promises."""

    def __init__(self, connection: Connection, counting: Counting) -> None:
        self._connection = connection
        self._counting = counting

    async def recorded(self, account_key: str, request_id: UUID) -> Recorded | None:
        row = await self._connection.fetchrow(
            """
            SELECT r.fingerprint, o.scope_id, o.pattern_id, o.disposition, o.similarity,
                   o.anonymization
              FROM outcome_requests r
              JOIN observations o ON o.scope_id = r.scope_id AND o.id = r.observation_id
             WHERE r.account_key = $1 AND r.request_id = $2
            """,
            account_key,
            request_id,
        )
        if row is None:
            return None
        return Recorded(
            fingerprint=row["fingerprint"],
            pattern=(
                None
                if row["pattern_id"] is None
                else PatternKey(row["scope_id"], row["pattern_id"])
            ),
            disposition=Disposition(row["disposition"]),
            similarity=row["similarity"],
            anonymization=AnonymizationReport(
                masked=row["anonymization"]["masked"],
                dropped=tuple(DroppedField(*pair) for pair in row["anonymization"]["dropped"]),
            ),
        )

    async def asked(self, account_key: str, enhancement_id: UUID, pattern_type: str) -> bool:
        return bool(
            await self._connection.fetchval(
                """
                SELECT EXISTS (SELECT FROM enhancements
                                WHERE id = $1 AND account_key = $2 AND pattern_type = $3)
                """,
                enhancement_id,
                account_key,
                pattern_type,
            )
        )

    async def lock_scope(self, scope: Scope) -> None:
        """Two captures of one scope must not both create."""
        await lock_searched_scope(self._connection, scope)

    async def nearest(self, scope: Scope, vectors: Vectors, limit: int) -> Sequence[Neighbour]:
        rows = await self._connection.fetch(
            """
            WITH scoped AS MATERIALIZED (
                SELECT id, pattern_embedding <=> $3 AS distance FROM network_patterns
                 WHERE scope_id = $1 AND embedding_model = $2
            )
            SELECT p.id, p.action_template, 1 - s.distance AS similarity,
                   1 - (a.action_embedding <=> $4) AS action_similarity
              FROM (SELECT * FROM scoped ORDER BY distance LIMIT $5) s
              JOIN network_patterns p ON p.scope_id = $1 AND p.id = s.id
              JOIN pattern_actions a ON a.scope_id = $1 AND a.pattern_id = p.id
             ORDER BY s.distance
            """,
            scope.scope_id,
            scope.embedding_model,
            vectors.sentence,
            vectors.action,
            limit,
        )
        return [
            Neighbour(
                row["id"], row["action_template"], row["similarity"], row["action_similarity"]
            )
            for row in rows
        ]

    async def create(self, pattern_id: UUID, observation: Observation, vectors: Vectors) -> None:
        scope = observation.scope
        await open_scope(self._connection, scope)
        await self._connection.execute(
            """
            INSERT INTO network_patterns (id, pattern_type, business_category, embedding_model,
                                          pattern_embedding, context, action_template,
                                          first_discovered, prior_successes, prior_failures,
                                          prior_source, prior_patterns, cautious_successes,
                                          cautious_failures, scope_id, worded_from,
                                          worded_from_scope_id)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, coalesce(l.successes, $9),
                   coalesce(l.failures, $10), coalesce(l.source, 'default'),
                   coalesce(l.patterns, 0), coalesce(l.cautious_successes, $12),
                   coalesce(l.cautious_failures, $13), $14, advised.id, advised.scope_id
              FROM (SELECT) one
              LEFT JOIN LATERAL (
                   SELECT coalesce(p.worded_from, p.id) AS id,
                          coalesce(p.worded_from_scope_id, p.scope_id) AS scope_id
                     FROM enhancements e JOIN network_patterns p
                       ON p.scope_id = e.advised_scope_id AND p.id = e.pattern_id
                    WHERE e.scope_id = $14 AND e.id = $11) advised ON true
              LEFT JOIN LATERAL (
                   SELECT * FROM learned_priors
                    WHERE pattern_type IN ($2, '') AND business_category IN ($3, '')
                    ORDER BY pattern_type DESC, business_category DESC LIMIT 1) l ON true
            """,
            pattern_id,
            scope.pattern_type,
            scope.business_category,
            scope.embedding_model,
            vectors.sentence,
            observation.insight.conditions,
            observation.insight.action,
            observation.occurred_time,
            DEFAULT_PRIOR.prior.successes,
            DEFAULT_PRIOR.prior.failures,
            observation.enhancement_id,
            DEFAULT_PRIOR.cautious.successes,
            DEFAULT_PRIOR.cautious.failures,
            scope.scope_id,
        )
        await place_action(self._connection, PatternKey(scope.scope_id, pattern_id), vectors.action)

    async def note_words(
        self,
        account_key: str,
        words: Sequence[UnknownWord],
        context: str | None,
        now: datetime,
    ) -> None:
        await record_words(self._connection, account_key, words, context, now)

    async def record(self, observation: Observation, joined: Vectors | None = None) -> None:
        await append_observation(self._connection, observation, self._counting, joined)

    async def record_sighting(
        self, observation: Observation, vector: NDArray[np.float32], seen_time: datetime
    ) -> None:
        await insert_sighting(
            self._connection,
            account_key=observation.account_key,
            insight=observation.insight,
            embedding_model=observation.scope.embedding_model,
            embedding=vector,
            seen_time=seen_time,
        )

    async def pattern(self, key: PatternKey, account_key: str) -> Pattern:
        pattern = await see_pattern(self._connection, key, self._counting.rule, account_key)
        if pattern is None:
            # A foreign key holds the ledger and its pattern together.
            message = "a recorded pattern is missing"
            raise RuntimeError(message)
        return pattern
