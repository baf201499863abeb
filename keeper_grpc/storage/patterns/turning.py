"""Writing where patterns lie that observations turned, and nothing else of them."""

from __future__ import annotations

from collections.abc import Mapping

from pgvector import Vector

from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.domain.patterns.position import Position
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.patterns.keys import by_column, in_pairs


async def turn_patterns(
    connection: Connection, positions: Mapping[PatternKey, Position], transaction_id: int
) -> None:
    """Within the caller's transaction, which holds the patterns and has this id."""
    if not positions:
        return
    await connection.execute(
        """
        WITH n AS MATERIALIZED (
            SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::vector[], $4::float8[], $5::vector[], $6::float8[])
                AS n (scope_id, id, sentence, weight, action_vector, action_weight)
        ), moved AS (
            UPDATE pattern_actions a
               SET action_embedding = n.action_vector, action_weight = n.action_weight
              FROM n
             WHERE a.scope_id = ANY($8::bigint[]) AND a.scope_id = n.scope_id AND a.pattern_id = n.id
        )
        UPDATE network_patterns p
           SET pattern_embedding = n.sentence, embedding_weight = n.weight, changed_in = $7::xid8
          FROM n
         WHERE p.scope_id = ANY($8::bigint[]) AND p.scope_id = n.scope_id AND p.id = n.id
        """,
        *in_pairs(positions),
        [Vector(each.sentence) for each in positions.values()],
        [each.sentence_weight for each in positions.values()],
        [Vector(each.action) for each in positions.values()],
        [each.action_weight for each in positions.values()],
        transaction_id,
        by_column(positions)[0],
    )
