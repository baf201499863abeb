"""Locking the rows of patterns until the transaction ends, in the order of their ids, as everybody does."""

from __future__ import annotations

from collections.abc import Collection

from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.keys import in_pairs


async def hold_patterns(connection: Connection, keys: Collection[PatternKey]) -> int:
    """Let nobody else change these patterns; the transaction's id, for `changed_in` of what is changed of them."""
    transaction_id: int = await connection.fetchval(
        "SELECT hold_patterns($1::bigint[], $2::uuid[])", *in_pairs(keys)
    )
    return transaction_id


async def keep_patterns(connection: Connection, keys: Collection[PatternKey]) -> int:
    """Let nobody delete these patterns; how many are there."""
    kept: int = await connection.fetchval(
        "SELECT keep_patterns($1::bigint[], $2::uuid[])", *in_pairs(keys)
    )
    return kept
