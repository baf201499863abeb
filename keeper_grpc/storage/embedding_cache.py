"""The embedding cache's table: vectors by content hash. It holds no text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pgvector import Vector

from keeper_grpc.storage.database import Database, to_array


class PostgresVectors:
    """The VectorStore of embedding/cache.py."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, model: str, hashes: Sequence[bytes]) -> Mapping[bytes, NDArray[np.float32]]:
        """The stored vectors of these contents."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT content_hash, embedding FROM embedding_cache
                 WHERE embedding_model = $1 AND content_hash = ANY($2::bytea[])
                """,
                model,
                list(hashes),
            )
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
