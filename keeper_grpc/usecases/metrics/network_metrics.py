"""GetNetworkMetrics: a report of all that was committed before the call, made once while nothing changes."""

from __future__ import annotations

from datetime import timedelta

from keeper_grpc.domain.metrics.formulas import MetricsReport
from keeper_grpc.usecases.metrics.kept_reports import KeptReports, VersionStore
from keeper_grpc.usecases.metrics.report import MetricsReports
from keeper_grpc.usecases.ports import Clock

MAX_AGE = timedelta(seconds=1)
"""How far the time of a report may lie before its call. A window ends at that time, so a report of an idle network
ages although nothing changes."""


class GetNetworkMetrics:
    """The use case. One instance serves all calls; the gate bounds how many reports are made at a time."""

    def __init__(self, *, metrics: MetricsReports, store: VersionStore, clock: Clock) -> None:
        self._metrics = metrics
        self._store = store
        self._clock = clock
        self._kept = KeptReports()

    async def __call__(self, window: timedelta | None, business_category: str) -> MetricsReport:
        """The report. Raises StorageUnavailable."""
        asked = (self._metrics.start(window), business_category)
        version = await self._store.version()
        kept = self._kept.of(asked, version)
        if kept is not None and timedelta(0) <= self._clock() - kept.as_of <= MAX_AGE:
            return kept
        report = await self._metrics.make(*asked)
        self._kept.keep(asked, version, report)
        return report
