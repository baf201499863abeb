"""The detector's side of the emerging-pattern tables: one leader, one transaction a step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector import Vector

from keeper_grpc.domain.emerging import (
    ClusterChange,
    EmergingPattern,
    Family,
    Proven,
    Sighting,
    State,
    StoredCluster,
)
from keeper_grpc.storage.database import Connection, Database, to_array
from keeper_grpc.storage.emerging_rows import COLUMNS, from_row, to_json

if TYPE_CHECKING:
    from asyncpg import Record

LEADER_LOCK = 0x6B656570_656D6572
"""Advisory lock of the leader ("keepemer"). One per database, since advisory locks are."""

EVENTS_CHANNEL = "keeper_emerging"

TYPICAL_SAMPLE = 200
"""Newest sightings among which the most typical is looked for: bounds the cost of a large cluster."""


class PostgresDetection:
    """Lends the lead."""

    def __init__(self, database: Database, embedding_model: str) -> None:
        self._database = database
        self._model = embedding_model

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[PostgresLeadership | None]:
        """Hold the leader's lock on one connection for the length of the block, or yield None.

        The lock belongs to the session: when the process or its connection dies, it is free.
        """
        async with self._database.connection() as connection:
            leads = await connection.fetchval("SELECT pg_try_advisory_lock($1)", LEADER_LOCK)
            if not leads:
                yield None
                return
            try:
                yield PostgresLeadership(connection, self._model)
            finally:
                if not connection.is_closed():
                    await connection.execute("SELECT pg_advisory_unlock($1)", LEADER_LOCK)


class PostgresLeadership:
    """The leader's connection."""

    def __init__(self, connection: Connection, embedding_model: str) -> None:
        self._connection = connection
        self._model = embedding_model

    async def clusters(self) -> Sequence[StoredCluster]:
        rows = await self._connection.fetch(
            """
            SELECT s.emerging_pattern_id, s.embedding_model, s.pattern_type,
                   sum(s.embedding) AS vector_sum, count(*)::integer AS count
              FROM sightings s
             WHERE s.emerging_pattern_id IS NOT NULL AND s.embedding_model = $1
             GROUP BY 1, 2, 3
            """,
            self._model,
        )
        return [
            StoredCluster(
                row["emerging_pattern_id"],
                (row["embedding_model"], row["pattern_type"]),
                to_array(row["vector_sum"]),
                row["count"],
            )
            for row in rows
        ]

    @asynccontextmanager
    async def step(self) -> AsyncIterator[PostgresDetectionStep]:
        async with self._connection.transaction():
            yield PostgresDetectionStep(self._connection, self._model)


class PostgresDetectionStep:
    """One step's reads and writes; see usecases/detect_emerging.py for what each promises."""

    def __init__(self, connection: Connection, embedding_model: str) -> None:
        self._connection = connection
        self._model = embedding_model

    async def expired(self, before: datetime, limit: int) -> Sequence[Sighting]:
        rows = await self._connection.fetch(
            """
            DELETE FROM sightings WHERE id IN (
                SELECT id FROM sightings WHERE seen_time < $1
                 ORDER BY seen_time LIMIT $2 FOR UPDATE SKIP LOCKED)
            RETURNING id, embedding_model, pattern_type, embedding, emerging_pattern_id
            """,
            before,
            limit,
        )
        return [_sighting(row) for row in rows if row["embedding_model"] == self._model]

    async def pending(self, limit: int) -> Sequence[Sighting]:
        rows = await self._connection.fetch(
            """
            SELECT id, embedding_model, pattern_type, embedding, emerging_pattern_id
              FROM sightings WHERE pending AND embedding_model = $1
             ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
            """,
            self._model,
            limit,
        )
        return [_sighting(row) for row in rows]

    async def assign(self, members: Mapping[int, UUID], families: Mapping[UUID, Family]) -> None:
        clusters = sorted(set(members.values()))
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
        await self._connection.execute(
            """
            UPDATE sightings s SET emerging_pattern_id = m.cluster, pending = false
              FROM unnest($1::bigint[], $2::uuid[]) AS m (id, cluster) WHERE s.id = m.id
            """,
            list(members),
            list(members.values()),
        )

    async def emerging(self) -> Mapping[UUID, Family]:
        rows = await self._connection.fetch(
            """
            SELECT id, embedding_model, pattern_type FROM emerging_patterns
             WHERE state = 'emerging' AND embedding_model = $1
            """,
            self._model,
        )
        return {row["id"]: (row["embedding_model"], row["pattern_type"]) for row in rows}

    async def saved(
        self, cluster_ids: Collection[UUID]
    ) -> Mapping[UUID, tuple[State, EmergingPattern]]:
        rows = await self._connection.fetch(
            f"SELECT state, {COLUMNS} FROM emerging_patterns WHERE id = ANY($1::uuid[])",  # noqa: S608 - a constant
            list(cluster_ids),
        )
        return {row["id"]: (State(row["state"]), from_row(row)) for row in rows}

    async def described(
        self, centres: Mapping[UUID, NDArray[np.float32]], similarities: Mapping[UUID, float]
    ) -> Mapping[UUID, EmergingPattern]:
        rows = await self._connection.fetch(
            """
            SELECT c.id, min(s.pattern_type) AS pattern_type,
                   min(s.embedding_model) AS embedding_model,
                   array_agg(DISTINCT s.business_category) AS business_categories,
                   (SELECT t.rendered
                      FROM (SELECT rendered, embedding FROM sightings
                             WHERE emerging_pattern_id = c.id
                             ORDER BY seen_time DESC LIMIT $3) t
                     ORDER BY t.embedding <=> c.centre, t.rendered LIMIT 1) AS common_pattern,
                   count(DISTINCT s.account_key)::integer AS account_count,
                   count(*)::integer AS sighting_count,
                   avg(s.confidence) AS mean_confidence,
                   sum(s.potential_value) AS total_potential_value,
                   min(s.seen_time) AS first_seen_time, max(s.seen_time) AS last_seen_time
              FROM unnest($1::uuid[], $2::vector[]) AS c (id, centre)
              JOIN sightings s ON s.emerging_pattern_id = c.id
             GROUP BY c.id, c.centre
            """,
            list(centres),
            [Vector(centre) for centre in centres.values()],
            TYPICAL_SAMPLE,
        )
        return {
            row["id"]: EmergingPattern(
                emerging_pattern_id=row["id"],
                pattern_type=row["pattern_type"],
                embedding_model=row["embedding_model"],
                business_categories=tuple(sorted(row["business_categories"])),
                common_pattern=row["common_pattern"],
                account_count=row["account_count"],
                sighting_count=row["sighting_count"],
                # Four digits are what a reader can use; more would make rounding noise an update.
                mean_similarity=round(similarities[row["id"]], 4),
                mean_confidence=round(row["mean_confidence"], 4),
                total_potential_value=round(row["total_potential_value"], 2),
                first_seen_time=row["first_seen_time"],
                last_seen_time=row["last_seen_time"],
            )
            for row in rows
        }

    async def proven(
        self, centres: Mapping[UUID, tuple[Family, NDArray[np.float32]]], proven: Proven
    ) -> Mapping[UUID, UUID]:
        rows = await self._connection.fetch(
            """
            SELECT c.id, nearest.pattern_id
              FROM unnest($1::uuid[], $2::text[], $3::text[], $4::vector[])
                   AS c (id, model, type, centre)
             CROSS JOIN LATERAL (
                SELECT p.id AS pattern_id, p.pattern_embedding <=> c.centre AS distance
                  FROM network_patterns p
                 WHERE p.pattern_type = c.type AND p.embedding_model = c.model
                   AND p.account_count >= $5 AND p.confidence_score >= $6
                   AND p.largest_account_occurrences * 2 <= p.occurrence_count
                 ORDER BY distance, p.id LIMIT 1) nearest
             WHERE 1 - nearest.distance >= $7
            """,
            list(centres),
            [family[0] for family, _ in centres.values()],
            [family[1] for family, _ in centres.values()],
            [Vector(centre) for _, centre in centres.values()],
            proven.min_accounts,
            proven.min_lower_bound,
            proven.min_similarity,
        )
        return {row["id"]: row["pattern_id"] for row in rows}

    async def save(self, changes: Sequence[ClusterChange], now: datetime) -> None:
        for change in changes:
            await self._save_cluster(change)
        told = [change for change in changes if change.change is not None]
        for change in told:
            await self._append_event(change, now)
        if told:
            await self._connection.execute(f"NOTIFY {EVENTS_CHANNEL}")

    async def _save_cluster(self, change: ClusterChange) -> None:
        cluster = change.cluster
        if cluster is None:
            await self._connection.execute(
                "DELETE FROM emerging_patterns WHERE id = $1", change.cluster_id
            )
            return
        await self._connection.execute(
            """
            UPDATE emerging_patterns
               SET state = $2, business_categories = $3, common_pattern = $4, account_count = $5,
                   sighting_count = $6, mean_similarity = $7, mean_confidence = $8,
                   total_potential_value = $9, first_seen_time = $10, last_seen_time = $11,
                   promoted_pattern_id = $12
             WHERE id = $1
            """,
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
        )

    async def _append_event(self, change: ClusterChange, now: datetime) -> None:
        """A cluster that faded with its last sighting is told as it was last seen."""
        told = change.cluster or change.was
        if told is None or change.change is None:
            return
        await self._connection.execute(
            """
            INSERT INTO emerging_events (emerging_pattern_id, change, state, created_at)
            VALUES ($1, $2, $3, $4)
            """,
            change.cluster_id,
            change.change.value,
            to_json(told),
            now,
        )


def _sighting(row: Record) -> Sighting:
    return Sighting(
        row["id"],
        (row["embedding_model"], row["pattern_type"]),
        to_array(row["embedding"]),
        row["emerging_pattern_id"],
    )
