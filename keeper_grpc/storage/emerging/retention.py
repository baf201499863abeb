"""Takes old events out of the table, a batch a transaction."""

from __future__ import annotations

from datetime import datetime

from keeper_grpc.storage.database import Database


class PostgresRetention:
    """Trims the events that streams are resumed from."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trim(self, before: datetime, limit: int) -> int:
        """Trim the oldest `limit` events as far as they are older than `before`; how many those were.

        What is emerging at the trimmed place stays known: of a cluster that is shown there, the
        event that shows it is kept, however old. Processes that trim at once wait for each other.
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
                        OR EXISTS (SELECT FROM emerging_events later
                                    WHERE later.emerging_pattern_id = e.emerging_pattern_id
                                      AND later.sequence > e.sequence AND later.sequence <= $1))
                """,
                row["sequence"],
            )
            count: int = row["count"]
        return count
