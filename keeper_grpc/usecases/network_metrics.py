"""GetNetworkMetrics: what the network is worth over a window, for a line of business or as a whole."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from keeper_grpc.domain.measures import Gathered
from keeper_grpc.domain.metrics import Report, report, window_start
from keeper_grpc.domain.publication import PublicationRule
from keeper_grpc.usecases.ports import Clock

DEFAULT_WINDOW = timedelta(days=30)


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

    def start(self, window: timedelta | None) -> datetime:
        """Where a window of now begins: all that it depends on, beside its category."""
        return window_start(self._clock(), window or DEFAULT_WINDOW)

    async def __call__(self, window: timedelta | None, business_category: str) -> Report:
        """The report as of now; a window of None is 30 days. Raises StorageUnavailable."""
        now = self._clock()
        start = self.start(window)
        gathered = await self._store.gather(business_category, start, self._rule.k)
        return report(gathered, self._rule.k, now, start)
