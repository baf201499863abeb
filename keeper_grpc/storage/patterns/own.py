"""Owning one pattern for a transaction."""

from __future__ import annotations

from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.locks import lock_scope
from keeper_grpc.storage.patterns.view import see_pattern


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
