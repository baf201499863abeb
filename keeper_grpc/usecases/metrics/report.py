"""GetNetworkMetrics: the metrics and KPIs of a window, of one line of business or of the whole network."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Protocol

from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.metrics.formulas import MetricsReport, report, window_start
from keeper_grpc.domain.metrics.inputs import Gathered
from keeper_grpc.usecases.ports import Clock

DEFAULT_WINDOW = timedelta(days=30)

AT_ONCE = 1
"""Reports for calls that are made concurrently; other calls wait until their deadline. A report keeps a
connection and a core of the database busy for some 30 ms, which EnhanceInsight needs more."""


class MetricsStore(Protocol):
    """The measures that reports are computed from."""

    async def gather(self, business_category: str, start: datetime, k: int) -> Gathered:
        """Everything since `start`, a midnight (UTC). An empty category is the whole network."""


class GetNetworkMetrics:
    """The use case. One instance serves all calls."""

    def __init__(self, *, store: MetricsStore, rule: PublicationRule, clock: Clock) -> None:
        self._store = store
        self._rule = rule
        self._clock = clock
        self._turns = asyncio.Semaphore(AT_ONCE)

    def start(self, window: timedelta | None) -> datetime:
        """The beginning of a window that ends now; None is 30 days."""
        return window_start(self._clock(), window or DEFAULT_WINDOW)

    async def __call__(self, window: timedelta | None, business_category: str) -> MetricsReport:
        """The report as of the call's turn. Raises StorageUnavailable."""
        async with self._turns:
            return await self.make(self.start(window), business_category)

    async def make(self, start: datetime, business_category: str) -> MetricsReport:
        """The report as of now, of the window that begins at `start`. Raises StorageUnavailable.

        Takes no turn. Streams take their own, so that a call does not wait for all of their windows.
        """
        now = self._clock()
        gathered = await self._store.gather(business_category, start, self._rule.k)
        return report(gathered, self._rule.k, now, start)
