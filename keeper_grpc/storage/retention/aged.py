"""Rows that are deleted when they are old, and by whose absence nothing is counted differently."""

from __future__ import annotations

from datetime import datetime, timedelta

from keeper_grpc.storage.database import Database
from keeper_grpc.storage.retention.turn import affected, turn

_DELETE = """
    DELETE FROM {table} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {table} WHERE {time} < $1 ORDER BY {time} LIMIT $2 FOR UPDATE SKIP LOCKED))
"""


class AgedRows:
    """Rows of one table that are older than `retention`, by the column `time`."""

    def __init__(
        self, database: Database, name: str, retention: timedelta, *, table: str, time: str
    ) -> None:
        """`table` and `time` are names of the schema."""
        self.name = name
        self._database = database
        self._retention = retention
        self._delete = _DELETE.format(table=table, time=time)

    async def trim(self, now: datetime, limit: int) -> int:
        async with turn(self._database) as connection:
            if connection is None:
                return 0
            return affected(await connection.execute(self._delete, now - self._retention, limit))


def aged_rows(database: Database, *, requests: timedelta, audit: timedelta) -> tuple[AgedRows, ...]:
    """All of them: the ids by which retries are recognized, outcomes that were replaced, and what operators did."""
    return (
        AgedRows(
            database, "outcome_requests", requests, table="outcome_requests", time="recorded_time"
        ),
        AgedRows(
            database, "reaction_requests", requests, table="reaction_requests", time="recorded_time"
        ),
        AgedRows(
            database, "outcome_revisions", requests, table="outcome_revisions", time="recorded_time"
        ),
        AgedRows(database, "audit_events", audit, table="audit_events", time="created_at"),
    )
