"""The one transaction of a group of captures and reports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from pgvector import Vector

from keeper_grpc.domain.errors import AccountBeingForgotten
from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.priors import DEFAULT_PRIOR
from keeper_grpc.domain.observation import Observation, Vectors
from keeper_grpc.domain.patterns.group import Asking, GroupWrites, Known
from keeper_grpc.domain.patterns.pattern import Neighbour, Pattern, PatternKey, Scope
from keeper_grpc.domain.patterns.position import Position
from keeper_grpc.storage.accounts.unknown_words import record_words
from keeper_grpc.storage.database import Connection, Database, to_array
from keeper_grpc.storage.emerging.sightings import write_sightings
from keeper_grpc.storage.locks import lock_scope
from keeper_grpc.storage.patterns.known import find_known
from keeper_grpc.storage.patterns.ledger import Counts, count_observations, write_observations
from keeper_grpc.storage.patterns.told import see_for_each
from keeper_grpc.storage.patterns.versions import open_scope, touch


class PostgresGroups:
    """Begins the transactions of usecases/patterns/scope_group.py."""

    def __init__(self, database: Database, counting: Counting) -> None:
        self._database = database
        self._counting = counting

    @asynccontextmanager
    async def group(self, scope: Scope) -> AsyncIterator[PostgresGroup]:
        """A transaction that owns the scope and commits at the end of the block unless that raises."""
        try:
            async with self._database.transaction() as connection:
                yield PostgresGroup(connection, scope, self._counting)
        except asyncpg.ForeignKeyViolationError as error:
            # The accounts are held and patterns are kept, so this is an account that was never there.
            raise AccountBeingForgotten from error


class PostgresGroup:
    """One group's reads and writes; see the use case for what each promises."""

    def __init__(self, connection: Connection, scope: Scope, counting: Counting) -> None:
        self._connection = connection
        self._scope = scope
        self._counting = counting
        self._counts = Counts()

    async def is_current(self) -> bool:
        # The statements below have one good plan each, which is worth more than a plan for each of their parameters:
        # making it takes longer than most of them.
        await self._connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        return await lock_scope(self._connection, self._scope)

    async def known(self, asking: Asking) -> Known:
        return await find_known(self._connection, self._scope, asking)

    async def nearest(
        self, vectors: Sequence[Vectors], limit: int
    ) -> Sequence[Sequence[Neighbour]]:
        rows = await self._connection.fetch(
            """
            SELECT asked.n, near.*
              FROM unnest($3::vector[], $4::vector[]) WITH ORDINALITY AS asked (sentence, action, n)
             CROSS JOIN LATERAL (
                   WITH scoped AS MATERIALIZED (
                       SELECT id, pattern_embedding <=> asked.sentence AS distance
                         FROM network_patterns
                        WHERE scope_id = $1 AND embedding_model = $2)
                   SELECT p.id, p.action_template, 1 - s.distance AS similarity,
                          1 - (a.action_embedding <=> asked.action) AS action_similarity
                     FROM (SELECT * FROM scoped ORDER BY distance LIMIT $5) s
                     JOIN network_patterns p ON p.scope_id = $1 AND p.id = s.id
                     JOIN pattern_actions a ON a.scope_id = $1 AND a.pattern_id = p.id) near
             ORDER BY asked.n, near.similarity DESC
            """,
            self._scope.scope_id,
            self._scope.embedding_model,
            [Vector(each.sentence) for each in vectors],
            [Vector(each.action) for each in vectors],
            limit,
        )
        found: list[list[Neighbour]] = [[] for _ in vectors]
        for number, *neighbour in rows:
            found[number - 1].append(Neighbour(*neighbour))
        return found

    async def positions(self, pattern_ids: Collection[UUID]) -> Mapping[UUID, Position]:
        if not pattern_ids:
            return {}
        rows = await self._connection.fetch(
            """
            SELECT p.id, p.pattern_embedding, p.embedding_weight, a.action_embedding,
                   a.action_weight
              FROM network_patterns p
              JOIN pattern_actions a ON a.scope_id = p.scope_id AND a.pattern_id = p.id
             WHERE p.scope_id = $1 AND p.id = ANY($2::uuid[])
            """,
            self._scope.scope_id,
            list(pattern_ids),
        )
        return {
            row["id"]: Position(
                to_array(row["pattern_embedding"]),
                row["embedding_weight"],
                to_array(row["action_embedding"]),
                row["action_weight"],
            )
            for row in rows
        }

    async def count(self, writes: GroupWrites) -> None:
        positions = dict(writes.positions)
        created = {pattern_id: positions.pop(pattern_id) for pattern_id in writes.created}
        await self._create(writes.created, created)
        self._counts = await count_observations(
            self._connection, self._scope, writes.observations, self._counting, positions
        )

    async def write(self, writes: GroupWrites) -> None:
        await record_words(self._connection, writes.words)
        await write_observations(
            self._connection,
            self._scope,
            writes.observations,
            self._counts.begun,
            self._counting.step,
        )
        # After the accounts, as ForgetAccount takes them.
        await write_sightings(self._connection, writes.seen)
        await touch(self._connection, self._counts.changed)

    async def _create(
        self, created: Mapping[UUID, Observation], positions: Mapping[UUID, Position]
    ) -> None:
        if not created:
            return
        await open_scope(self._connection, self._scope)
        await self._connection.execute(
            """
            WITH new AS (
                SELECT * FROM unnest($4::uuid[], $5::vector[], $6::float8[], $7::vector[],
                                     $8::float8[], $9::jsonb[], $10::text[], $11::timestamptz[],
                                     $12::uuid[])
                    AS n (id, sentence, sentence_weight, action_vector, action_weight, context,
                          action, discovered, enhancement_id)
            ), patterns AS (
                INSERT INTO network_patterns (
                    id, scope_id, pattern_type, business_category, embedding_model, pattern_embedding,
                    embedding_weight, context, action_template, first_discovered,
                    prior_successes, prior_failures, prior_source, prior_patterns,
                    cautious_successes, cautious_failures, worded_from, worded_from_scope_id)
                SELECT n.id, $17, $1, $2, $3, n.sentence, n.sentence_weight, n.context, n.action,
                       n.discovered, coalesce(l.successes, $13), coalesce(l.failures, $14),
                       coalesce(l.source, 'default'), coalesce(l.patterns, 0),
                       coalesce(l.cautious_successes, $15), coalesce(l.cautious_failures, $16),
                       advised.id, advised.scope_id
                  FROM new n
                  LEFT JOIN LATERAL (
                       SELECT coalesce(p.worded_from, p.id) AS id,
                              coalesce(p.worded_from_scope_id, p.scope_id) AS scope_id
                         FROM enhancements e JOIN network_patterns p
                           ON p.scope_id = e.advised_scope_id AND p.id = e.pattern_id
                        WHERE e.scope_id = $17 AND e.id = n.enhancement_id) advised ON true
                  LEFT JOIN LATERAL (
                       SELECT * FROM learned_priors
                        WHERE pattern_type IN ($1, '') AND business_category IN ($2, '')
                        ORDER BY pattern_type DESC, business_category DESC LIMIT 1) l ON true
            )
            INSERT INTO pattern_actions (scope_id, pattern_id, action_embedding, action_weight)
            SELECT $17, id, action_vector, action_weight FROM new
            """,
            self._scope.pattern_type,
            self._scope.business_category,
            self._scope.embedding_model,
            list(created),
            [Vector(positions[each].sentence) for each in created],
            [positions[each].sentence_weight for each in created],
            [Vector(positions[each].action) for each in created],
            [positions[each].action_weight for each in created],
            [dict(each.insight.conditions) for each in created.values()],
            [each.insight.action for each in created.values()],
            [each.occurred_time for each in created.values()],
            [each.enhancement_id for each in created.values()],
            DEFAULT_PRIOR.prior.successes,
            DEFAULT_PRIOR.prior.failures,
            DEFAULT_PRIOR.cautious.successes,
            DEFAULT_PRIOR.cautious.failures,
            self._scope.scope_id,
        )

    async def patterns(
        self, shown: Collection[tuple[PatternKey, str]]
    ) -> Mapping[tuple[PatternKey, str], Pattern]:
        return await see_for_each(self._connection, shown, self._counting.rule)
