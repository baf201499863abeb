"""Sends rows concurrently and settles them in the file's order.

Counts, report and state therefore always describe the file's first n rows, and memory holds only the
window, however long the file is.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from uuid import UUID

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternRequest,
    CapturePatternResponse,
)
from keeper_grpc.importing.build import build, skipped
from keeper_grpc.importing.calls import Captures
from keeper_grpc.importing.failure import ImportFailed, Reason, RowRejected
from keeper_grpc.importing.files.lines import Mark
from keeper_grpc.importing.files.rejects import Rejects
from keeper_grpc.importing.files.rows import ReadRow, Source
from keeper_grpc.importing.files.state import Progress, StateFile
from keeper_grpc.importing.identity import RequestIds
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.show import Advance
from keeper_grpc.importing.tally import Tally

_AHEAD = 4
"""Rows in the window for each call in flight: one slow call does not hold up the others."""

_SAVE_EVERY = 1.0
"""Seconds between saves of the state; an interrupted import repeats at most this much."""

_BREATH = 256
"""Rows after which control returns to the event loop even if nothing is sent, so that signals arrive."""


@dataclass(slots=True)
class _Pending:
    """A row in the window: on its way, left out, or rejected before it was sent."""

    row: ReadRow
    call: asyncio.Task[CapturePatternResponse] | None = None
    skipped: bool = False
    reasons: tuple[Reason, ...] = ()


@dataclass(kw_only=True, slots=True)
class Importer:
    """One pass over the file. Without `captures` the rows are checked and not sent."""

    mapping: Mapping
    ids: RequestIds
    start: Progress
    rejects: Rejects
    state: StateFile | None
    captures: Captures | None
    concurrency: int
    advance: Advance
    _probe: int = field(init=False)
    _mark: Mark | None = field(init=False, default=None)
    _saved: float = field(init=False)
    _places: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        """Resume from an earlier run's progress."""
        self._probe = self.start.probe
        self._saved = time.monotonic()
        self._places = asyncio.Semaphore(self.concurrency)

    async def run(self, source: Source) -> Tally:
        """Process the remaining rows. Raises ImportFailed, after the settled rows were saved."""
        window: deque[_Pending] = deque()
        try:
            for row in source.rows():
                if row.number % _BREATH == 0:
                    await asyncio.sleep(0)
                pending = self._begin(row)
                if pending is None:
                    continue
                window.append(pending)
                if len(window) > _AHEAD * self.concurrency:
                    await self._settle(window[0])
                    window.popleft()
            while window:
                await self._settle(window[0])
                window.popleft()
        except BaseException:
            self._save()
            raise
        finally:
            calls = [pending.call for pending in window if pending.call is not None]
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            self.rejects.flush()
        return self.start.tally

    def _begin(self, row: ReadRow) -> _Pending | None:
        """Start sending a row; None if an earlier run settled it."""
        # Computed for settled rows too, because equal rows are distinguished by their number.
        request_id = None if row.unreadable else self.ids.of(row.cells)
        if row.number <= self.start.rows:
            return None
        if request_id is None or row.unreadable is not None:
            return _Pending(row, reasons=(row.unreadable,) if row.unreadable else ())
        if skipped(self.mapping, row.cells):
            return _Pending(row, skipped=True)
        return self._sent(row, request_id)

    def _sent(self, row: ReadRow, request_id: UUID) -> _Pending:
        try:
            request = build(self.mapping, row.cells, request_id)
        except RowRejected as rejected:
            return _Pending(row, reasons=rejected.reasons)
        if self.captures is None:
            return _Pending(row)
        return _Pending(row, asyncio.create_task(self._call(self.captures, request)))

    async def _call(
        self, captures: Captures, request: CapturePatternRequest
    ) -> CapturePatternResponse:
        async with self._places:
            return await captures(request)

    async def _settle(self, pending: _Pending) -> None:
        """Wait for the row and count it."""
        number, tally = pending.row.number, self.start.tally
        reasons = pending.reasons
        response = None
        if pending.call is not None:
            try:
                response = await pending.call
            except RowRejected as rejected:
                reasons = rejected.reasons
            except ImportFailed as failed:
                raise ImportFailed(f"row {number}: {failed}") from None
        if response is not None:
            tally.answer(response)
            self._probe = number
        elif reasons:
            tally.reject(reasons)
            self.rejects.add(number, reasons)
        elif pending.skipped:
            tally.skipped += 1
        tally.rows = number
        self._mark = pending.row.mark
        self.advance(number, self._mark.place)
        if time.monotonic() - self._saved > _SAVE_EVERY:
            self._save()

    def _save(self) -> None:
        self._saved = time.monotonic()
        if self.state is None or self._mark is None:
            return
        self.rejects.flush()
        tally = self.start.tally
        self.state.save(Progress(tally.rows, self._probe, tally), self._mark)
