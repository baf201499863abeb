"""Deleting a pattern: also from where no foreign key reaches it, because another scope may name it."""

from __future__ import annotations

from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection


async def delete_pattern(connection: Connection, key: PatternKey) -> frozenset[int]:
    """Delete a pattern that has no observations; the scopes of the patterns that spoke in its words.

    Within the caller's transaction, which holds its row FOR UPDATE: whoever records advice keeps that row. What was
    advised stays advised, by a pattern that is gone. The caller resets the pattern's scope and these.
    """
    await connection.execute(
        """
        UPDATE enhancements SET pattern_id = NULL, advised_scope_id = NULL
         WHERE advised_scope_id = $1 AND pattern_id = $2
        """,
        *key,
    )
    await connection.execute(
        """
        UPDATE archived_reactions SET pattern_id = NULL, advised_scope_id = NULL
         WHERE advised_scope_id = $1 AND pattern_id = $2
        """,
        *key,
    )
    await connection.execute(
        "DELETE FROM archived_transfers WHERE advised_scope_id = $1 AND pattern_id = $2", *key
    )
    # Whose scripts were drawn. What it contended for is of other scopes, and is no longer read.
    await connection.execute(
        "DELETE FROM archived_choices WHERE pattern_id = $1 AND script IS NOT NULL", key.pattern_id
    )
    await connection.execute(
        """
        UPDATE emerging_patterns SET promoted_pattern_id = nullif(promoted_pattern_id, $1),
                                     fading_pattern_id = nullif(fading_pattern_id, $1)
         WHERE promoted_pattern_id = $1 OR fading_pattern_id = $1
        """,
        key.pattern_id,
    )
    worded = await connection.fetch(
        """
        UPDATE network_patterns SET worded_from = NULL, worded_from_scope_id = NULL
         WHERE worded_from_scope_id = $1 AND worded_from = $2 RETURNING scope_id
        """,
        *key,
    )
    await connection.execute("DELETE FROM network_patterns WHERE scope_id = $1 AND id = $2", *key)
    return frozenset(row["scope_id"] for row in worded)
