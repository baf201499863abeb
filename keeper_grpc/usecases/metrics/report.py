"""Making a report: the metrics and KPIs of a window, of one line of business or of the whole network."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.metrics.formulas import MetricsReport, report, window_start
from keeper_grpc.domain.metrics.inputs import Gathered
from keeper_grpc.usecases.ports import Clock

DEFAULT_WINDOW = timedelta(days=30)


class MetricsStore(Protocol):
    """The measures that reports are computed from."""

    async def gather(self, business_category: str, start: datetime, k: int) -> Gathered:
        """Everything since `start`, a midnight (UTC). An empty category is the whole network."""


class MetricsReports:
    """Makes reports, for calls and for streams."""

    def __init__(self, *, store: MetricsStore, rule: PublicationRule, clock: Clock) -> None:
        self._store = store
        self._rule = rule
        self._clock = clock

    def start(self, window: timedelta | None) -> datetime:
        """The beginning of a window that ends now; None is 30 days."""
        return window_start(self._clock(), window or DEFAULT_WINDOW)

    async def make(self, start: datetime, business_category: str) -> MetricsReport:
        """The report as of now, of the window that begins at `start`. Raises StorageUnavailable."""
        now = self._clock()
        gathered = await self._store.gather(business_category, start, self._rule.k)
        return report(gathered, self._rule.k, now, start)
