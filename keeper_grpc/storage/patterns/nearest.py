"""Where the patterns of scopes lie: the exact nearest, and positions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from pgvector import Vector

from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.pattern import Neighbour, PatternKey, Scope
from keeper_grpc.domain.patterns.placing import NEIGHBOURS
from keeper_grpc.domain.patterns.position import Position
from keeper_grpc.storage.database import Connection, to_array
from keeper_grpc.storage.patterns.keys import by_column


async def nearest(
    connection: Connection, asked: Mapping[Scope, Sequence[Vectors]]
) -> Mapping[Scope, Sequence[Sequence[Neighbour]]]:
    """For each of the vectors the exact nearest patterns of its scope, nearest first, as many as `Places` needs."""
    found: dict[Scope, list[list[Neighbour]]] = {
        scope: [[] for _ in vectors] for scope, vectors in asked.items()
    }
    flat = [
        (scope, n, vectors, NEIGHBOURS + len(own) - 1)
        for scope, own in asked.items()
        for n, vectors in enumerate(own)
    ]
    if not flat:
        return found
    rows = await connection.fetch(
        """
        SELECT n, id, action_template, similarity, action_similarity
          FROM nearest_patterns($1::bigint[], $2::text[], $3::vector[], $4::vector[], $5::integer[])
        """,
        [scope.scope_id for scope, *_ in flat],
        [scope.embedding_model for scope, *_ in flat],
        [Vector(vectors.sentence) for _, _, vectors, _ in flat],
        [Vector(vectors.action) for _, _, vectors, _ in flat],
        [most for *_, most in flat],
    )
    for number, *neighbour in rows:
        scope, n, *_ = flat[number - 1]
        found[scope][n].append(Neighbour(*neighbour))
    return found


async def positions(
    connection: Connection, keys: Collection[PatternKey]
) -> Mapping[UUID, Position]:
    """Where these patterns lie, those that exist."""
    if not keys:
        return {}
    rows = await connection.fetch(
        """
        SELECT p.id, p.pattern_embedding, p.embedding_weight, a.action_embedding,
               a.action_weight
          FROM network_patterns p
          JOIN pattern_actions a ON a.scope_id = p.scope_id AND a.pattern_id = p.id
         WHERE p.scope_id = ANY($1::bigint[]) AND p.id = ANY($2::uuid[])
        """,
        *by_column(keys),
    )
    return {
        row["id"]: Position(
            to_array(row["pattern_embedding"]),
            row["embedding_weight"],
            to_array(row["action_embedding"]),
            row["action_weight"],
        )
        for row in rows
    }
