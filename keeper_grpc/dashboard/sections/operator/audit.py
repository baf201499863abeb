"""What operators did, with who did it, a page at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from keeper_grpc.client import KeeperClient, KeeperClientError
from keeper_grpc.client.withdrawal_reasons import reason_name
from keeper_grpc.dashboard.filters import words
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.markup import Cell, Column, Row, Table
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import AuditEvent

PAGE = 25
"""Events that are added at a time."""

_MOST = 1_000
"""Events on one page: older ones are for `keeper audit`."""


class AuditTable:
    """The newest events; older ones are added below. The counts are for operators: those of a forgotten account are its."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._table = Table(
            "What operators did, the latest first",
            [
                Column("When", "whole"),
                Column("What", "wide"),
                Column("Who", "wide"),
                Column("How much"),
            ],
            "No operator has done anything.",
        )
        self._client: KeeperClient | None = None
        self._events: AsyncGenerator[AuditEvent] | None = None
        # A generator that is waiting for a page can neither be asked again nor be closed.
        self._reading = asyncio.Lock()
        self.older = Text("button", "Show older ones", "plain below", type="button")
        self.older.set_visibility(False)

    async def read(self, client: KeeperClient) -> None:
        """Begin with the newest. Raises KeeperClientError."""
        async with self._reading:
            await self._end()
            self._rows.clear()
            self._client = client
            await self._add()

    async def more(self) -> None:
        """Add a page; a second press while one is being read changes nothing. Raises KeeperClientError."""
        if self._reading.locked():
            return
        async with self._reading:
            await self._add()

    async def close(self) -> None:
        """End the reading."""
        async with self._reading:
            self._client = None
            await self._end()

    async def _add(self) -> None:
        """After a failure the log is read from its beginning, and what is shown already is passed over."""
        if self._client is None:
            return
        if self._events is None:
            self._events = self._client.audit_events(page_size=PAGE)
        wanted, ended = len(self._rows) + PAGE, True
        try:
            async for event in self._events:
                self._rows.setdefault(event.audit_event_id, _row(event))
                if len(self._rows) == wanted:
                    ended = False
                    break
        except KeeperClientError:
            self._events = None
            raise
        self._table.show(self._rows.values())
        self.older.set_visibility(not ended and wanted < _MOST)

    async def _end(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            await events.aclose()


def _row(event: AuditEvent) -> Row:
    reason = ""
    if event.reason:
        reason = f"because {words(reason_name(event.reason))}"
    counts = ", ".join(f"{words(name)} {n:,}" for name, n in sorted(event.counts.items()) if n)
    href = f"patterns/{event.pattern_id}" if event.pattern_id else ""
    return Row(
        event.audit_event_id,
        [
            Cell(figures.at(event.event_time)),
            Cell(words(event.action), reason, href),
            Cell(event.actor or "not known"),
            Cell(counts or figures.NOTHING),
        ],
    )
