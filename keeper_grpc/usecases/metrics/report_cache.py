"""Reports for streams: made one at a time, and shared by the streams that ask for the same."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from keeper_grpc.domain.metrics.formulas import MetricsReport
from keeper_grpc.usecases.metrics.kept_reports import Asked, KeptReports, VersionStore
from keeper_grpc.usecases.metrics.report import MetricsReports
from keeper_grpc.usecases.single_flight import SingleFlight

INTERVAL = 1.0
"""Seconds between checks for a change: people read no faster, and a report is not free."""

AT_ONCE = 1
"""Reports made concurrently. Each keeps a connection and a core of the database busy for some 10 ms, and
while the network is used all of them are out of date every second. More would delay other calls."""


class ReportCache:
    """The reports of one process's streams."""

    def __init__(self, *, metrics: MetricsReports, store: VersionStore) -> None:
        self._metrics = metrics
        self._store = store
        self._make = SingleFlight(self._made, asyncio.Semaphore(AT_ONCE))
        self._look: asyncio.Task[str] | None = None
        self._looked = 0.0
        self._kept = KeptReports()

    async def newest(self, window: timedelta | None, business_category: str) -> MetricsReport:
        """The report of the newest version, made when its turn comes unless it is kept.

        A failure is raised to all that wait for it, and is not kept. Raises StorageUnavailable.
        """
        version = await self._version()
        asked = (self._metrics.start(window), business_category)
        kept = self._kept.of(asked, version)
        return await self._make(asked) if kept is None else kept

    async def _made(self, asked: Asked) -> MetricsReport:
        # Read before the report is made, so that a change meanwhile brings another version.
        version = await self._version()
        report = await self._metrics.make(*asked)
        self._kept.keep(asked, version, report)
        return report

    async def _version(self) -> str:
        """The version of the last check, which all callers within an interval after it share."""
        if self._look is None or (
            self._look.done() and asyncio.get_running_loop().time() - self._looked >= INTERVAL
        ):
            self._look = asyncio.create_task(self._looks())
        return await asyncio.shield(self._look)

    async def _looks(self) -> str:
        try:
            return await self._store.version()
        finally:
            # The interval begins at its end, so that a database that hangs is asked once for all callers.
            self._looked = asyncio.get_running_loop().time()
