"""Vectors of the embedding cache: the least recently used go when there are too many."""

from __future__ import annotations

from datetime import datetime

from keeper_grpc.storage.database import Database
from keeper_grpc.storage.retention.turn import affected, turn


class SpareVectors:
    """Rows of `embedding_cache` beyond the `most` that are kept."""

    name = "vectors"

    def __init__(self, database: Database, most: int) -> None:
        self._database = database
        self._most = most

    async def trim(self, now: datetime, limit: int) -> int:  # noqa: ARG002 - only their number counts
        async with turn(self._database) as connection:
            if connection is None:
                return 0
            stored: int = await connection.fetchval("SELECT count(*) FROM embedding_cache")
            spare = min(stored - self._most, limit)
            if spare <= 0:
                return 0
            return affected(
                await connection.execute(
                    """
                    DELETE FROM embedding_cache WHERE ctid = ANY (ARRAY(
                        SELECT ctid FROM embedding_cache ORDER BY used_day, created_at LIMIT $1
                           FOR UPDATE SKIP LOCKED))
                    """,
                    spare,
                )
            )
