"""The detector's lead: one leader, and what it reads beside its steps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import numpy as np

from keeper_grpc.domain.emerging.model import Family, StoredCluster, StoredMember, Window
from keeper_grpc.domain.errors import PatternsMoved, StatementTimedOut
from keeper_grpc.storage.database import Connection, Database, to_array
from keeper_grpc.storage.emerging.detection_step import PostgresDetectionStep
from keeper_grpc.storage.emerging.sighting_rows import to_fact
from keeper_grpc.storage.locks import AdvisoryLock, lock_step, try_session_lock

if TYPE_CHECKING:
    from asyncpg import Record

READ_AHEAD = 500
"""Rows that are fetched at once where all are read: each fetch is a few milliseconds of the event loop,
and no statement grows with the table."""

LEASE = 15
"""Seconds of silence after which the database takes the lead from a process whose host answers: it may be stopped, or
stuck. The leader's connection has a statement every poll of the detector, and nothing between two statements of a step takes
as long."""

MEMBERS_AHEAD = 2_000
"""The same for rows without a vector."""


class PostgresDetection:
    """Lends the lead."""

    def __init__(self, database: Database, embedding_model: str) -> None:
        self._database = database
        self._model = embedding_model

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[PostgresLeadership | None]:
        """Hold the leader's lock on one connection for the length of the block, or yield None."""
        async with (
            self._database.connection() as connection,
            try_session_lock(connection, AdvisoryLock.LEADER) as leads,
        ):
            if not leads:
                yield None
                return
            try:
                async with leased(connection):
                    yield PostgresLeadership(self._database, connection, self._model)
            except (asyncpg.QueryCanceledError, TimeoutError) as error:
                # The server's limit or ours, which is the same: either may be the first to strike.
                raise StatementTimedOut("a statement took too long") from error


@asynccontextmanager
async def leased(connection: Connection) -> AsyncIterator[None]:
    """Let the server end the session, and with it the lead and what it has not committed, after LEASE of silence.

    All that a leader writes goes through this session, so one that comes back can write nothing any more.
    """
    before = await _set_timeouts(connection, [f"{LEASE}s"] * 2)
    try:
        yield
    finally:
        if not connection.is_closed():
            # Others use the connection next.
            await _set_timeouts(connection, before)


async def _set_timeouts(connection: Connection, values: Sequence[str]) -> Sequence[str]:
    """Set the timeouts of a silent session, outside of a transaction and in one: what they were."""
    (row,) = await connection.fetch(
        """
        WITH before AS MATERIALIZED (
            SELECT current_setting('idle_session_timeout') AS outside,
                   current_setting('idle_in_transaction_session_timeout') AS inside
        )
        SELECT outside, inside, set_config('idle_session_timeout', $1, false),
               set_config('idle_in_transaction_session_timeout', $2, false)
          FROM before
        """,
        *values,
    )
    return [row["outside"], row["inside"]]


class PostgresLeadership:
    """The leader's connection, and the pool for what is read beside its steps."""

    def __init__(self, database: Database, connection: Connection, embedding_model: str) -> None:
        self._database = database
        self._connection = connection
        self._model = embedding_model

    async def clusters(self) -> AsyncGenerator[StoredCluster, None]:
        async with self._connection.transaction(readonly=True):
            async for row in self._connection.cursor(
                """
                SELECT id, embedding_model, pattern_type, vector_sum, vector_count
                  FROM emerging_patterns WHERE embedding_model = $1
                """,
                self._model,
                prefetch=READ_AHEAD,
            ):
                yield _stored(row)

    async def summed(self, cluster_ids: Collection[UUID]) -> AsyncGenerator[StoredCluster, None]:
        async with self._connection.transaction(readonly=True):
            async for row in self._connection.cursor(
                """
                SELECT p.id, p.embedding_model, p.pattern_type, sum(s.embedding) AS vector_sum,
                       count(*)::integer AS vector_count
                  FROM emerging_patterns p JOIN sightings s ON s.emerging_pattern_id = p.id
                 WHERE p.id = ANY($1::uuid[])
                 GROUP BY p.id
                """,
                list(cluster_ids),
                prefetch=READ_AHEAD,
            ):
                yield _stored(row)

    async def members(self) -> AsyncGenerator[StoredMember, None]:
        async with self._connection.transaction(readonly=True):
            async for row in self._connection.cursor(
                """
                SELECT s.id, s.emerging_pattern_id, coalesce(a.owner_key, s.account_key) AS owner_key,
                       s.business_category, s.confidence, s.potential_value, s.seen_time
                  FROM sightings s LEFT JOIN accounts a USING (account_key)
                 WHERE s.emerging_pattern_id IS NOT NULL AND s.embedding_model = $1
                """,
                self._model,
                prefetch=MEMBERS_AHEAD,
            ):
                yield StoredMember(row["id"], row["emerging_pattern_id"], to_fact(row))

    async def window(self, family: Family, width: int) -> Window:
        model, pattern_type = family
        clusters: list[UUID] = []
        async with self._database.transaction(read_only=True) as connection:
            count = await connection.fetchval(
                """
                SELECT count(*) FROM sightings
                 WHERE emerging_pattern_id IS NOT NULL AND embedding_model = $1
                   AND pattern_type = $2
                """,
                model,
                pattern_type,
            )
            ids = np.empty(count, np.int64)
            vectors = np.empty((count, width), np.float32)
            cursor = connection.cursor(
                """
                SELECT id, emerging_pattern_id, subvector(embedding, 1, $3) AS embedding
                  FROM sightings
                 WHERE emerging_pattern_id IS NOT NULL AND embedding_model = $1
                   AND pattern_type = $2
                 ORDER BY id
                """,
                model,
                pattern_type,
                width,
                prefetch=READ_AHEAD,
            )
            async for row in cursor:
                position = len(clusters)
                ids[position] = row["id"]
                vectors[position] = to_array(row["embedding"])
                clusters.append(row["emerging_pattern_id"])
        return Window(family, ids, clusters, vectors)

    @asynccontextmanager
    async def step(self) -> AsyncIterator[PostgresDetectionStep]:
        async with self._connection.transaction():
            await lock_step(self._connection)
            if await self._connection.fetchval(
                "SELECT EXISTS (SELECT 1 FROM embedding_space WHERE model <> $1)", self._model
            ):
                # Its clusters are sums of vectors that are there no more.
                raise PatternsMoved
            yield PostgresDetectionStep(self._connection, self._model)


def _stored(row: Record) -> StoredCluster:
    return StoredCluster(
        row["id"],
        (row["embedding_model"], row["pattern_type"]),
        None if row["vector_sum"] is None else to_array(row["vector_sum"]),
        row["vector_count"],
    )
