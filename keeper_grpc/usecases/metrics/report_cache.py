"""Reports for streams: made one at a time, and each once for all streams that ask for the same."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from keeper_grpc.domain.metrics.formulas import MetricsReport
from keeper_grpc.usecases.metrics.report import NetworkMetrics
from keeper_grpc.usecases.single_flight import SingleFlight

INTERVAL = 1.0
"""Seconds between looks for a change: people read no faster, and a report is not free."""

AT_ONCE = 1
"""Reports made at once. Each keeps a connection and a core of the database busy for some 30 ms, and
while the network is used all of them are out of date every second. Other calls go first."""

KEPT = 64
"""Reports that are shared, the last ones asked for: a year of days is some tens of kilobytes."""

_Asked: TypeAlias = tuple[datetime, str]
"""All that a report depends on beside the data: where its window begins, and its category."""


class VersionStore(Protocol):
    """Where changes are seen."""

    async def version(self) -> str:
        """Another one whenever anything that is measured may have changed."""


@dataclass(frozen=True, slots=True)
class _Kept:
    version: str
    report: MetricsReport


class ReportCache:
    """Serves the streams of one process."""

    def __init__(self, *, metrics: NetworkMetrics, store: VersionStore) -> None:
        self._metrics = metrics
        self._store = store
        self._make = SingleFlight(self._made, asyncio.Semaphore(AT_ONCE))
        self._look: asyncio.Task[str] | None = None
        self._looked = 0.0
        self._kept: OrderedDict[_Asked, _Kept] = OrderedDict()

    async def newest(self, window: timedelta | None, business_category: str) -> MetricsReport:
        """The report as of the newest version; if it has to be made, as of when its turn comes.

        A failure is raised to all that wait for it, and is not kept. Raises StorageUnavailable.
        """
        version = await self._version()
        asked = (self._metrics.start(window), business_category)
        kept = self._kept.get(asked)
        if kept is not None and kept.version == version:
            self._kept.move_to_end(asked)
            return kept.report
        return await self._make(asked)

    async def _made(self, asked: _Asked) -> MetricsReport:
        # Looked at first: what changes while the report is made brings another version.
        version = await self._version()
        report = await self._metrics.make(*asked)
        self._kept[asked] = _Kept(version, report)
        self._kept.move_to_end(asked)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return report

    async def _version(self) -> str:
        """As of the last look, which is shared by all who come until an interval after it."""
        if self._look is None or (
            self._look.done() and asyncio.get_running_loop().time() - self._looked >= INTERVAL
        ):
            self._look = asyncio.create_task(self._looks())
        return await asyncio.shield(self._look)

    async def _looks(self) -> str:
        try:
            return await self._store.version()
        finally:
            # From its end on: a database that hangs is asked once, and its failure is raised to all callers.
            self._looked = asyncio.get_running_loop().time()
