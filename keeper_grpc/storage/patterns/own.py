"""Owning patterns for a transaction."""

from __future__ import annotations

from collections.abc import Sequence

from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey, Scope
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.locks import lock_scope
from keeper_grpc.storage.patterns.keys import by_column, key_of
from keeper_grpc.storage.patterns.view import see_pattern

_THERE = "FROM network_patterns WHERE scope_id = ANY($1::bigint[]) AND id = ANY($2::uuid[])"


async def own_pattern(
    connection: Connection, key: PatternKey, rule: PublicationRule
) -> Pattern | None:
    """The pattern, when nobody else changes it until the transaction ends; None if it is gone.

    It may be forgotten, merged or moved to another embedding model's scope while this waits for its scope.
    """
    owned = None
    while (pattern := await see_pattern(connection, key, rule)) is not None:
        if pattern.scope == owned:
            return pattern
        owned = pattern.scope
        await lock_scope(connection, owned)
    return None


async def own_patterns(connection: Connection, keys: Sequence[PatternKey]) -> Sequence[PatternKey]:
    """Patterns of one scope, without those that are gone. Nobody else changes them until the transaction ends."""
    there = by_column(keys)
    scope = await connection.fetchrow(
        f"""
        SELECT pattern_type, business_category, embedding_model {_THERE} LIMIT 1
        """,
        *there,
    )
    if scope is None:
        return []
    await lock_scope(connection, Scope(*scope))
    rows = await connection.fetch(f"SELECT scope_id, id {_THERE} ORDER BY id", *there)
    return [key_of(row) for row in rows]
