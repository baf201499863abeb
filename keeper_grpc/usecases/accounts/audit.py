"""ListAuditEvents: what operators did, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.patterns.listing import AuditCursor

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500


class AuditStore(Protocol):
    """Where audit events are read."""

    async def list_events(self, after: AuditCursor | None, limit: int) -> Sequence[AuditEvent]:
        """Up to `limit` events that come after the cursor, newest first."""


class AuditLog:
    """The use case."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def page(
        self, after: AuditCursor | None, size: int
    ) -> tuple[Sequence[AuditEvent], AuditCursor | None]:
        """A page of events and where the next one starts. `size` 0 means 50; at most 500."""
        limit = min(size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        found = await self._store.list_events(after, limit + 1)
        page = found[:limit]
        more = len(found) > limit
        return page, AuditCursor(page[-1].created_at, page[-1].event_id) if more else None
