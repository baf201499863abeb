"""Which shard has each scope: where tables are spread, a group is of scopes of one."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet

from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.storage.database import Connection


class Shards:
    """What this process has been told. All scopes have none where tables are not spread, or before it asked.

    A guess: whoever enters scopes is told by the database which of them it may write together. So nothing goes wrong where
    shards are split, or the servers go over to a cluster, but that groups are smaller until their scopes are asked for again.
    """

    def __init__(self) -> None:
        self._of: dict[int, int | None] = {}

    def of(self, scope: Scope) -> int | None:
        """The scope's shard."""
        return self._of.get(scope.scope_id)

    async def learn(
        self, connection: Connection, wanted: Collection[Scope], entered: AbstractSet[Scope]
    ) -> None:
        """Ask for those that are new, and for those that could not be entered with the others."""
        asked = {
            scope.scope_id
            for scope in wanted
            if scope.scope_id not in self._of or scope not in entered
        }
        if not asked:
            return
        rows = await connection.fetch(
            "SELECT scope_id, shard_of(scope_id) AS shard FROM unnest($1::bigint[]) AS asked (scope_id)",
            list(asked),
        )
        self._of |= {row["scope_id"]: row["shard"] for row in rows}
