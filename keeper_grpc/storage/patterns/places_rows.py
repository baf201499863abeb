"""The rows that a scope's places in memory are read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.domain.patterns.position import Position
from keeper_grpc.storage.database import Connection, to_array
from keeper_grpc.storage.patterns.versions import settled_version

if TYPE_CHECKING:
    from asyncpg import Record


@dataclass(frozen=True, slots=True)
class Placed:
    """One pattern of a scope: its first action, and where it lies."""

    pattern_id: UUID
    action: str
    position: Position


async def held_ids(connection: Connection, scope: Scope) -> tuple[int, Sequence[UUID]]:
    """The scope's version, and its patterns then or later."""
    version = await settled_version(connection, scope.scope_id)
    rows = await connection.fetch(
        "SELECT id FROM network_patterns WHERE scope_id = $1 AND embedding_model = $2",
        scope.scope_id,
        scope.embedding_model,
    )
    return version, [row["id"] for row in rows]


async def read_placed(
    connection: Connection, scope: Scope, pattern_ids: Sequence[UUID]
) -> Sequence[Placed]:
    """These patterns of the scope, those that exist."""
    rows = await connection.fetch(
        """
        SELECT p.id, p.action_template, p.pattern_embedding, p.embedding_weight,
               a.action_embedding, a.action_weight
          FROM network_patterns p
          JOIN pattern_actions a ON a.scope_id = p.scope_id AND a.pattern_id = p.id
         WHERE p.scope_id = $1 AND p.embedding_model = $2 AND p.id = ANY($3::uuid[])
        """,
        scope.scope_id,
        scope.embedding_model,
        pattern_ids,
    )
    return [_placed(row) for row in rows]


async def read_changed(
    connection: Connection, after: Mapping[Scope, int], most: int
) -> Mapping[Scope, Mapping[UUID, Placed | None]] | None:
    """The patterns of scopes that changed after a version of each; None where the scope has no such pattern any more.

    Nothing of all of them, None, where that are more than `most`.
    """
    scopes = list(after)
    rows = await connection.fetch(
        """
        SELECT asked.n, v.pattern_id, p.id, p.action_template, p.pattern_embedding,
               p.embedding_weight, a.action_embedding, a.action_weight
          FROM unnest($1::bigint[], $2::text[], $3::bigint[]) WITH ORDINALITY
               AS asked (scope_id, model, version, n)
          JOIN pattern_versions v ON v.scope_id = asked.scope_id AND v.version > asked.version
          LEFT JOIN network_patterns p ON p.scope_id = ANY($1::bigint[]) AND p.scope_id = v.scope_id
                                      AND p.id = v.pattern_id AND p.embedding_model = asked.model
          LEFT JOIN pattern_actions a ON a.scope_id = ANY($1::bigint[]) AND a.scope_id = p.scope_id
                                     AND a.pattern_id = p.id
         WHERE v.scope_id = ANY($1::bigint[])
         LIMIT $4
        """,
        [scope.scope_id for scope in scopes],
        [scope.embedding_model for scope in scopes],
        list(after.values()),
        most + 1,
    )
    if len(rows) > most:
        return None
    found: dict[Scope, dict[UUID, Placed | None]] = {scope: {} for scope in scopes}
    for row in rows:
        whole = row["id"] is not None and row["action_embedding"] is not None
        found[scopes[row["n"] - 1]][row["pattern_id"]] = _placed(row) if whole else None
    return found


async def changed_ids(connection: Connection, scope_id: int, after: int) -> Sequence[UUID]:
    """The patterns of a scope that changed after a version."""
    rows = await connection.fetch(
        "SELECT pattern_id FROM pattern_versions WHERE scope_id = $1 AND version > $2",
        scope_id,
        after,
    )
    return [row["pattern_id"] for row in rows]


def _placed(row: Record) -> Placed:
    return Placed(
        row["id"],
        row["action_template"],
        Position(
            to_array(row["pattern_embedding"]),
            row["embedding_weight"],
            to_array(row["action_embedding"]),
            row["action_weight"],
        ),
    )
