"""The embedding cache's table: vectors by content hash. It holds no text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pgvector import Vector

from keeper_grpc.storage.database import Database, to_array

# Once a day and vector: a write for each look would cost more than the vector. Nobody waits for another who does the same.
_USED = """
    UPDATE embedding_cache SET used_day = current_date WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM embedding_cache WHERE embedding_model = $1 AND content_hash = ANY($2::bytea[])
           FOR NO KEY UPDATE SKIP LOCKED))
"""


class PostgresVectors:
    """The VectorStore of embedding/cache.py."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, model: str, hashes: Sequence[bytes]) -> Mapping[bytes, NDArray[np.float32]]:
        """The stored vectors of these contents. They count as used today, so that others go before them."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT content_hash, embedding, used_day < current_date AS stale FROM embedding_cache
                 WHERE embedding_model = $1 AND content_hash = ANY($2::bytea[])
                """,
                model,
                list(hashes),
            )
            if stale := [row["content_hash"] for row in rows if row["stale"]]:
                await connection.execute(_USED, model, stale)
        return {row["content_hash"]: to_array(row["embedding"]) for row in rows}

    async def put(self, model: str, items: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Store vectors. A content that is stored already keeps its vector."""
        async with self._database.connection() as connection:
            await connection.execute(
                """
                INSERT INTO embedding_cache (embedding_model, content_hash, embedding)
                SELECT $1, hash, embedding
                  FROM unnest($2::bytea[], $3::vector[]) AS item (hash, embedding)
                ON CONFLICT DO NOTHING
                """,
                model,
                list(items),
                [Vector(vector) for vector in items.values()],
            )
