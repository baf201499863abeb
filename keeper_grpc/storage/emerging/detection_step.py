"""One transaction of the detector: sightings are taken up, moved between clusters, and clusters are saved."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector import Vector

from keeper_grpc.domain.emerging.model import (
    ClusterChange,
    Family,
    Proven,
    SavedCluster,
    Sighting,
    State,
)
from keeper_grpc.domain.emerging.novelty import Known, Progress, portions
from keeper_grpc.domain.emerging.words import Sentence
from keeper_grpc.domain.errors import PatternsMoved
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.emerging import novelty
from keeper_grpc.storage.emerging.rows import COLUMNS, EVENTS_CHANNEL, from_json, from_row, to_json
from keeper_grpc.storage.emerging.sighting_rows import to_sighting
from keeper_grpc.storage.patterns.holding import keep_patterns
from keeper_grpc.storage.patterns.keys import pattern_keys
from keeper_grpc.storage.patterns.withdrawal import folded, said_by_retired

SENTENCES = 5_000
"""Sentences that one statement reads: with their vectors 40 MB."""


class PostgresDetectionStep:
    """One step's reads and writes; see usecases/emerging/ports.py for what each promises."""

    def __init__(self, connection: Connection, embedding_model: str) -> None:
        self._connection = connection
        self._model = embedding_model

    async def forgotten(self, limit: int) -> Sequence[Sighting]:
        rows = await self._connection.fetch(
            """
            DELETE FROM sightings WHERE id IN (
                SELECT id FROM sightings WHERE account_key = '' AND embedding_model = $1 LIMIT $2)
            RETURNING id, embedding_model, pattern_type, embedding, emerging_pattern_id,
                      account_key AS owner_key, business_category, confidence, potential_value,
                      seen_time
            """,
            self._model,
            limit,
        )
        return [to_sighting(row) for row in rows]

    async def withdrawn(self, limit: int) -> Sequence[Sighting]:
        rows = await self._connection.fetch(
            """
            WITH gone AS (
                SELECT * FROM sightings WHERE withdrawn AND embedding_model = $1
                 ORDER BY id LIMIT $2 FOR UPDATE
            ), taken_out AS (
                UPDATE sightings s SET withdrawn = false, emerging_pattern_id = NULL
                  FROM gone WHERE s.id = gone.id
            )
            SELECT id, embedding_model, pattern_type, embedding, emerging_pattern_id,
                   account_key AS owner_key, business_category, confidence, potential_value,
                   seen_time
              FROM gone
            """,
            self._model,
            limit,
        )
        return [to_sighting(row) for row in rows]

    async def expired(self, before: datetime, limit: int) -> Sequence[Sighting]:
        rows = await self._connection.fetch(
            """
            DELETE FROM sightings WHERE id IN (
                SELECT id FROM sightings WHERE seen_time < $1
                 ORDER BY seen_time LIMIT $2 FOR UPDATE SKIP LOCKED)
            RETURNING id, embedding_model, pattern_type, embedding, emerging_pattern_id,
                      account_key AS owner_key, business_category, confidence, potential_value,
                      seen_time
            """,
            before,
            limit,
        )
        return [to_sighting(row) for row in rows if row["embedding_model"] == self._model]

    async def pending(self, limit: int) -> Sequence[Sighting]:
        rows = await self._connection.fetch(
            """
            SELECT s.id, s.embedding_model, s.pattern_type, s.embedding, s.emerging_pattern_id,
                   coalesce(a.owner_key, s.account_key) AS owner_key, s.business_category,
                   s.confidence, s.potential_value, s.seen_time
              FROM sightings s LEFT JOIN accounts a USING (account_key)
             WHERE s.pending AND s.embedding_model = $1 AND s.account_key <> ''
             ORDER BY s.id LIMIT $2
            """,
            self._model,
            limit,
        )
        return [to_sighting(row) for row in rows]

    async def add_clusters(self, families: Mapping[UUID, Family]) -> None:
        clusters = sorted(families)
        await self._connection.execute(
            """
            INSERT INTO emerging_patterns (
                id, embedding_model, pattern_type, state, business_categories, common_pattern,
                account_count, sighting_count, mean_similarity, mean_confidence,
                total_potential_value, first_seen_time, last_seen_time)
            SELECT id, model, type, 'forming', '{}', '', 0, 0, 0, 0, 0, now(), now()
              FROM unnest($1::uuid[], $2::text[], $3::text[]) AS c (id, model, type)
            ON CONFLICT (id) DO NOTHING
            """,
            clusters,
            [families[cluster][0] for cluster in clusters],
            [families[cluster][1] for cluster in clusters],
        )

    async def assign(self, members: Mapping[int, tuple[UUID, datetime]]) -> None:
        await self._join(members)

    async def move(self, members: Mapping[int, UUID], families: Mapping[UUID, Family]) -> None:
        await self.add_clusters({cluster: families[cluster] for cluster in members.values()})
        await self._join({each: (cluster, None) for each, cluster in members.items()})

    async def _join(self, members: Mapping[int, tuple[UUID, datetime | None]]) -> None:
        """Put sightings into clusters; those that were seen at a time are pending no longer, unless renewed after it."""
        await self._connection.execute(
            """
            WITH held AS MATERIALIZED (
                -- In the order in which groups of writes renew sightings.
                SELECT id FROM sightings WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE
            )
            UPDATE sightings s
               SET emerging_pattern_id = m.cluster,
                   pending = s.pending AND coalesce(s.seen_time > m.seen_time, true)
              FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[]) AS m (id, cluster, seen_time)
              JOIN held USING (id)
             WHERE s.id = m.id
            """,
            list(members),
            [cluster for cluster, _ in members.values()],
            [seen_time for _, seen_time in members.values()],
        )

    async def keep_sums(self, sums: Mapping[UUID, tuple[NDArray[np.float32], int]]) -> None:
        if not sums:
            return
        await self._connection.execute(
            """
            UPDATE emerging_patterns p SET vector_sum = k.total, vector_count = k.count
              FROM unnest($1::uuid[], $2::vector[], $3::integer[]) AS k (id, total, count)
             WHERE p.id = k.id
            """,
            list(sums),
            [Vector(total) for total, _ in sums.values()],
            [count for _, count in sums.values()],
        )

    async def shown(self, after: UUID, limit: int) -> Mapping[UUID, Family]:
        rows = await self._connection.fetch(
            """
            SELECT id, embedding_model, pattern_type FROM emerging_patterns
             WHERE state = 'emerging' AND id > $1 ORDER BY id LIMIT $2
            """,
            after,
            limit,
        )
        return {row["id"]: (row["embedding_model"], row["pattern_type"]) for row in rows}

    async def discard_replaced(self, limit: int) -> bool:
        await self._connection.execute(
            """
            DELETE FROM sightings WHERE id IN (
                SELECT s.id FROM emerging_patterns p
                  JOIN sightings s ON s.emerging_pattern_id = p.id
                 WHERE p.embedding_model <> $1 LIMIT $2 FOR UPDATE OF s SKIP LOCKED)
            """,
            self._model,
            limit,
        )
        await self._connection.execute(
            """
            DELETE FROM emerging_patterns WHERE id IN (
                SELECT p.id FROM emerging_patterns p
                 WHERE p.embedding_model <> $1
                   AND NOT EXISTS (SELECT 1 FROM sightings s WHERE s.emerging_pattern_id = p.id)
                 LIMIT $2)
            """,
            self._model,
            limit,
        )
        left: bool = await self._connection.fetchval(
            "SELECT EXISTS (SELECT 1 FROM emerging_patterns WHERE embedding_model <> $1)",
            self._model,
        )
        return left

    async def saved(self, cluster_ids: Collection[UUID]) -> Mapping[UUID, SavedCluster]:
        # Of a cluster that is shown, retention keeps the last event, however old.
        rows = await self._connection.fetch(
            f"""
            SELECT state, {COLUMNS}, last.told
              FROM emerging_patterns p
              LEFT JOIN LATERAL (
                SELECT e.state AS told FROM emerging_events e
                 WHERE e.emerging_pattern_id = p.id
                 ORDER BY e.sequence DESC LIMIT 1) last ON p.state = 'emerging'
             WHERE id = ANY($1::uuid[])
            """,  # noqa: S608 - a constant
            list(cluster_ids),
        )
        return {
            row["id"]: SavedCluster(
                State(row["state"]),
                from_row(row),
                None if row["told"] is None else from_json(row["told"]),
            )
            for row in rows
        }

    async def sentences(
        self,
        centres: Mapping[UUID, NDArray[np.float32]],
        sightings: Mapping[UUID, Sequence[int]],
    ) -> Mapping[UUID, Sequence[Sentence]]:
        if not centres:
            return {}
        said: dict[UUID, list[Sentence]] = {cluster: [] for cluster in centres}
        retired = await said_by_retired(self._connection)
        for portion in portions({key: len(sightings[key]) for key in centres}, SENTENCES):
            chosen = [(cluster, each) for cluster in portion for each in sightings[cluster]]
            rows = await self._connection.fetch(
                f"""
                SELECT c.id, coalesce(a.owner_key, s.account_key) AS owner_key, s.rendered, s.action,
                       s.embedding <=> c.centre AS distance
                  FROM unnest($1::uuid[], $2::vector[]) AS c (id, centre)
                  JOIN unnest($3::uuid[], $4::bigint[]) AS m (cluster, sighting)
                    ON m.cluster = c.id
                  JOIN sightings s ON s.id = m.sighting
                  LEFT JOIN accounts a ON a.account_key = s.account_key
                 WHERE s.rendered <> ''
                   AND NOT EXISTS (SELECT 1 FROM unnest($5::text[], $6::text[]) AS p (pattern_type, said)
                                    WHERE p.pattern_type = s.pattern_type AND s.action <> ''
                                      AND p.said = {folded("s.action")})
                """,  # noqa: S608 - only an expression of ours is interpolated
                portion,
                [Vector(centres[cluster]) for cluster in portion],
                [cluster for cluster, _ in chosen],
                [each for _, each in chosen],
                *retired,
            )
            for row in rows:
                said[row["id"]].append(
                    Sentence(row["owner_key"], row["rendered"], row["action"], row["distance"])
                )
        return said

    async def known(
        self,
        centres: Mapping[UUID, tuple[Family, NDArray[np.float32]]],
        actions: Mapping[UUID, NDArray[np.float32]],
        proven: Proven,
        first_seen: Mapping[UUID, datetime],
    ) -> Mapping[UUID, Known]:
        return await novelty.nearest_known(self._connection, centres, actions, proven, first_seen)

    async def published(self, pattern_ids: Collection[UUID], k: int) -> set[UUID]:
        return await novelty.still_published(self._connection, pattern_ids, k)

    async def current_progress(self) -> Progress:
        return await novelty.current_progress(self._connection)

    async def proven_since(
        self, progress: Progress, proven: Proven, limit: int
    ) -> tuple[Sequence[tuple[Family, NDArray[np.float32]]], Progress]:
        return await novelty.proven_since(self._connection, self._model, progress, proven, limit)

    async def save(self, changes: Sequence[ClusterChange], now: datetime) -> None:
        await self._keep(changes)
        await self._end([change.cluster_id for change in changes if change.cluster is None])
        await self._connection.executemany(
            """
            UPDATE emerging_patterns
               SET state = $2, business_categories = $3, common_pattern = $4, account_count = $5,
                   sighting_count = $6, mean_similarity = $7, mean_confidence = $8,
                   total_potential_value = $9, first_seen_time = $10, last_seen_time = $11,
                   promoted_pattern_id = $12, growth_rate = $13, novelty = $14, label = $15,
                   fading_pattern_id = $16
             WHERE id = $1
            """,
            [
                (
                    change.cluster_id,
                    change.state.value,
                    list(cluster.business_categories),
                    cluster.common_pattern,
                    cluster.account_count,
                    cluster.sighting_count,
                    cluster.mean_similarity,
                    cluster.mean_confidence,
                    cluster.total_potential_value,
                    cluster.first_seen_time,
                    cluster.last_seen_time,
                    cluster.promoted_pattern_id,
                    cluster.growth_rate,
                    cluster.novelty,
                    cluster.label,
                    cluster.fading_pattern_id,
                )
                for change in changes
                if (cluster := change.cluster) is not None
            ],
        )
        told = [
            (change.cluster_id, change.change.value, to_json(cluster), now)
            for change in changes
            if change.change is not None and (cluster := change.told) is not None
        ]
        if told:
            await self._connection.executemany(
                """
                INSERT INTO emerging_events (emerging_pattern_id, change, state, created_at)
                VALUES ($1, $2, $3, $4)
                """,
                told,
            )
            await self._connection.execute(f"NOTIFY {EVENTS_CHANNEL}")

    async def _keep(self, changes: Sequence[ClusterChange]) -> None:
        """Keep the patterns that clusters name from being deleted until the step ends: no foreign key does.

        Raises PatternsMoved where one was, since it was found.
        """
        named = {
            pattern_id
            for change in changes
            if (cluster := change.cluster) is not None
            for pattern_id in (cluster.promoted_pattern_id, cluster.fading_pattern_id)
            if pattern_id is not None
        }
        if not named:
            return
        keys = await pattern_keys(self._connection, named)
        if await keep_patterns(self._connection, keys.values()) < len(named):
            raise PatternsMoved

    async def _end(self, gone: Sequence[UUID]) -> None:
        """Delete clusters; of one of another model that still has sightings, what is known of them."""
        if not gone:
            return
        await self._connection.execute(
            """
            DELETE FROM emerging_patterns p WHERE id = ANY($1::uuid[])
               AND NOT EXISTS (SELECT 1 FROM sightings s WHERE s.emerging_pattern_id = p.id)
            """,
            gone,
        )
        await self._connection.execute(
            """
            UPDATE emerging_patterns
               SET state = 'forming', business_categories = '{}', common_pattern = '', label = '',
                   account_count = 0, sighting_count = 0, mean_similarity = 0,
                   mean_confidence = 0, total_potential_value = 0, vector_sum = NULL,
                   vector_count = 0
             WHERE id = ANY($1::uuid[])
            """,
            gone,
        )
