"""The audit_events table."""

from __future__ import annotations

from collections.abc import Sequence

from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.patterns.listing import AuditCursor
from keeper_grpc.domain.patterns.withdrawal import WithdrawalReason
from keeper_grpc.storage.database import Connection, Database


async def append_event(connection: Connection, event: AuditEvent) -> None:
    """Write an event within the caller's transaction."""
    await connection.execute(
        """
        INSERT INTO audit_events (id, action, details, created_at, pattern_id, reason, actor)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        event.event_id,
        event.action,
        dict(event.details),
        event.created_at,
        event.pattern_id,
        event.reason.value if event.reason else "",
        event.actor,
    )


class PostgresAudit:
    """Audit events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, event: AuditEvent) -> None:
        """Write an event on its own, after what it tells of."""
        async with self._database.transaction() as connection:
            await append_event(connection, event)

    async def list_events(self, after: AuditCursor | None, limit: int) -> Sequence[AuditEvent]:
        """Up to `limit` events that come after the cursor, newest first."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT id, action, details, created_at, pattern_id, reason, actor FROM audit_events
                 WHERE $1::timestamptz IS NULL OR created_at < $1
                    OR (created_at = $1 AND id > $2::uuid)
                 ORDER BY created_at DESC, id LIMIT $3
                """,
                after.created_at if after else None,
                after.event_id if after else None,
                limit,
            )
        return [
            AuditEvent(
                row["id"],
                row["action"],
                row["details"],
                row["created_at"],
                row["pattern_id"],
                WithdrawalReason(row["reason"]) if row["reason"] else None,
                actor=row["actor"],
            )
            for row in rows
        ]
