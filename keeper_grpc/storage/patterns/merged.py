"""Patterns that were merged into others: their ids were given out."""

from __future__ import annotations

from uuid import UUID

from keeper_grpc.storage.database import Connection


async def merged_into(connection: Connection, pattern_id: UUID) -> UUID | None:
    """The pattern that this one's evidence went to, None if it was never merged."""
    into: UUID | None = await connection.fetchval(
        "SELECT into_id FROM merged_patterns WHERE pattern_id = $1", pattern_id
    )
    return into
