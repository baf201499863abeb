"""GetNetworkMetrics: what the network is worth over a window, for a line of business or as a whole."""

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
"""Calls whose reports are made at once; the others wait for as long as they may take. A report keeps a
connection and a core of the database busy for some 30 ms, which EnhanceInsight needs more."""


class MetricsStore(Protocol):
    """Where the numbers are gathered."""

    async def gather(self, business_category: str, start: datetime, k: int) -> Gathered:
        """Everything since `start`, a midnight (UTC). An empty category is the whole network."""


class NetworkMetrics:
    """The use case. One instance serves all calls."""

    def __init__(self, *, store: MetricsStore, rule: PublicationRule, clock: Clock) -> None:
        self._store = store
        self._rule = rule
        self._clock = clock
        self._turns = asyncio.Semaphore(AT_ONCE)

    def start(self, window: timedelta | None) -> datetime:
        """Where a window of now begins, 30 days ago for None: all that it depends on, beside its category."""
        return window_start(self._clock(), window or DEFAULT_WINDOW)

    async def __call__(self, window: timedelta | None, business_category: str) -> MetricsReport:
        """The report as of when the call's turn comes. Raises as `make` does."""
        async with self._turns:
            return await self.make(self.start(window), business_category)

    async def make(self, start: datetime, business_category: str) -> MetricsReport:
        """The report as of now, of a window that begins then. Raises StorageUnavailable.

        For streams, which take turns of their own: a call waits for calls, and not for all windows
        that streams ask for.
        """
        now = self._clock()
        gathered = await self._store.gather(business_category, start, self._rule.k)
        return report(gathered, self._rule.k, now, start)
