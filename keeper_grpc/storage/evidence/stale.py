"""Patterns whose totals have yet to follow a change of an account's standing."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.evidence.recount import recount
from keeper_grpc.storage.evidence.totals import refresh_evidence
from keeper_grpc.storage.patterns.own import own_pattern


class PostgresStalePatterns:
    """The table stale_patterns; see usecases/evidence/refresh.py for what each method promises."""

    def __init__(self, database: Database, counting: Counting) -> None:
        self._database = database
        self._counting = counting

    async def stale(self, limit: int) -> Sequence[UUID]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "SELECT DISTINCT pattern_id FROM stale_patterns LIMIT $1", limit
            )
        return [row["pattern_id"] for row in rows]

    async def refresh(self, pattern_id: UUID) -> bool:
        async with self._database.transaction() as connection:
            pattern = await own_pattern(connection, pattern_id, self._counting.rule)
            # First, and read after: what an account's change notes from now on is left for another turn.
            noted = await connection.fetch(
                "DELETE FROM stale_patterns WHERE pattern_id = $1 RETURNING recount", pattern_id
            )
            if pattern is None or not noted:
                return False
            if any(row["recount"] for row in noted):
                await recount(connection, pattern_id, self._counting)
            else:
                await refresh_evidence(connection, pattern_id, self._counting.rule)
        return True
