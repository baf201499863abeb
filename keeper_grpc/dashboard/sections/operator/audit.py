"""What operators did, with who did it, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from keeper_grpc.client import KeeperClient
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
        self._rows: list[Row] = []
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
        self._events: AsyncGenerator[AuditEvent] | None = None
        self.older = Text("button", "Show older ones", "plain", type="button")
        self.older.set_visibility(False)

    async def read(self, client: KeeperClient) -> None:
        """Begin with the newest. Raises KeeperClientError."""
        await self.close()
        self._rows = []
        self._events = client.audit_events(page_size=PAGE)
        await self.more()

    async def more(self) -> None:
        """Add a page. Raises KeeperClientError."""
        if self._events is None:
            return
        ended = False
        for _ in range(PAGE):
            try:
                self._rows.append(_row(await anext(self._events)))
            except StopAsyncIteration:
                ended = True
                break
        self._table.show(self._rows)
        self.older.set_visibility(not ended and len(self._rows) < _MOST)

    async def close(self) -> None:
        """End the reading."""
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
