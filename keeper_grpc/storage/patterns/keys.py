"""Finding the scope of a pattern where its id alone is known: in a request, or in a row of another table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection

if TYPE_CHECKING:
    from asyncpg import Record


def key_of(row: Record) -> PatternKey:
    """The key of a pattern's row with its columns scope_id and id."""
    return PatternKey(row["scope_id"], row["id"])


def by_column(keys: Collection[PatternKey]) -> tuple[list[int], list[UUID]]:
    """The scopes and the ids of keys, for `scope_id = ANY(...) AND pattern_id = ANY(...)`: an id has one scope."""
    return sorted({key.scope_id for key in keys}), [key.pattern_id for key in keys]


def in_pairs(keys: Collection[PatternKey]) -> tuple[list[int], list[UUID]]:
    """The scope and the id of each key, for `unnest($1::bigint[], $2::uuid[])` and for functions that take both."""
    return [key.scope_id for key in keys], [key.pattern_id for key in keys]


async def find_pattern_key(connection: Connection, pattern_id: UUID) -> PatternKey | None:
    """The key of the pattern, or of the one that it was merged into; None if there is none."""
    row = await connection.fetchrow(
        """
        SELECT scope_id, id FROM network_patterns WHERE id = $1
         UNION ALL
        SELECT scope_id, into_id FROM merged_patterns WHERE pattern_id = $1
         LIMIT 1
        """,
        pattern_id,
    )
    return PatternKey(*row) if row else None


async def pattern_keys(
    connection: Connection, pattern_ids: Collection[UUID]
) -> Mapping[UUID, PatternKey]:
    """The keys of those of these patterns that exist, by id."""
    rows = await connection.fetch(
        "SELECT scope_id, id FROM network_patterns WHERE id = ANY($1::uuid[])", list(pattern_ids)
    )
    return {row["id"]: PatternKey(*row) for row in rows}


async def merged_into(connection: Connection, key: PatternKey) -> PatternKey | None:
    """The pattern that this one's evidence went to, None if it was never merged."""
    into: UUID | None = await connection.fetchval(
        "SELECT into_id FROM merged_patterns WHERE scope_id = $1 AND pattern_id = $2", *key
    )
    return None if into is None else PatternKey(key.scope_id, into)
