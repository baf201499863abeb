"""Deletes old events, one batch a transaction."""

from __future__ import annotations

from datetime import datetime

from keeper_grpc.storage.database import Database


class PostgresRetention:
    """Trims the events from which streams resume."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trim(self, before: datetime, limit: int) -> int:
        """Trim those of the oldest `limit` events that are older than `before`; returns their number.

        The state at the trimmed position stays readable: the last event of a cluster that is shown
        there is kept, however old. Concurrent trims of several processes wait for each other.
        """
        async with self._database.transaction() as connection:
            trimmed = await connection.fetchval(
                "SELECT trimmed_sequence FROM emerging_history FOR UPDATE"
            )
            row = await connection.fetchrow(
                """
                SELECT max(sequence) AS sequence, count(*) AS count
                  FROM (SELECT sequence, created_at FROM emerging_events
                         WHERE sequence > $1 ORDER BY sequence LIMIT $2) oldest
                 WHERE created_at < $3
                """,
                trimmed,
                limit,
                before,
            )
            if row is None or row["sequence"] is None:
                return 0
            await connection.execute(
                """
                UPDATE emerging_history SET trimmed_sequence = $1, trimmed_tag =
                       (SELECT tag FROM emerging_events WHERE sequence = $1)
                """,
                row["sequence"],
            )
            await connection.execute(
                """
                DELETE FROM emerging_events e
                 WHERE e.sequence <= $1
                   AND (e.change IN ('promoted', 'faded')
                        OR EXISTS (SELECT 1 FROM emerging_events later
                                    WHERE later.emerging_pattern_id = e.emerging_pattern_id
                                      AND later.sequence > e.sequence AND later.sequence <= $1))
                """,
                row["sequence"],
            )
            count: int = row["count"]
        return count
