"""Patterns whose totals have yet to follow a change of an account's standing."""

from __future__ import annotations

from collections.abc import Sequence

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.evidence.recount import recount
from keeper_grpc.storage.evidence.totals import Change, refresh_evidence
from keeper_grpc.storage.patterns.own import own_pattern
from keeper_grpc.storage.patterns.versions import touch


class PostgresStalePatterns:
    """The table stale_patterns; see usecases/evidence/refresh.py for what each method promises."""

    def __init__(self, database: Database, counting: Counting) -> None:
        self._database = database
        self._counting = counting

    async def stale(self, limit: int) -> Sequence[PatternKey]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "SELECT DISTINCT scope_id, pattern_id FROM stale_patterns LIMIT $1", limit
            )
        return [PatternKey(*row) for row in rows]

    async def refresh(self, key: PatternKey) -> bool:
        async with self._database.transaction() as connection:
            pattern = await own_pattern(connection, key, self._counting.rule)
            # First, and read after: what an account's change notes from now on is left for another turn.
            noted = await connection.fetch(
                """
                DELETE FROM stale_patterns WHERE scope_id = $1 AND pattern_id = $2
                RETURNING recount
                """,
                *key,
            )
            if pattern is None or not noted:
                return False
            if any(row["recount"] for row in noted):
                await recount(connection, [key], self._counting)
            else:
                await refresh_evidence(connection, {key: Change()}, self._counting.rule)
            await touch(connection, [key])
        return True
