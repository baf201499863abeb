"""Putting patterns where vectors are (domain/patterns/position.py), within the caller's transaction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection


async def place_action(
    connection: Connection, key: PatternKey, action: NDArray[np.float32]
) -> None:
    """Give a new pattern its action's vector, in place of an authored one's older action."""
    await connection.execute(
        """
        INSERT INTO pattern_actions (scope_id, pattern_id, action_embedding) VALUES ($1, $2, $3)
        ON CONFLICT (scope_id, pattern_id) DO UPDATE SET action_embedding = excluded.action_embedding
        """,
        *key,
        action,
    )


async def put_pattern(
    connection: Connection, key: PatternKey, sentence: NDArray[np.float32], weight: float
) -> None:
    """Put a pattern where this vector is."""
    await connection.execute(
        """
        UPDATE network_patterns SET pattern_embedding = $3, embedding_weight = $4,
               changed_in = pg_current_xact_id()
         WHERE scope_id = $1 AND id = $2
        """,
        *key,
        sentence,
        weight,
    )


async def put_action(
    connection: Connection, key: PatternKey, action: NDArray[np.float32], weight: float
) -> None:
    """Put its action where this vector is."""
    await connection.execute(
        """
        UPDATE pattern_actions SET action_embedding = $3, action_weight = $4
         WHERE scope_id = $1 AND pattern_id = $2
        """,
        *key,
        action,
        weight,
    )
