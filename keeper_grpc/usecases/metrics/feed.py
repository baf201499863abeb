"""StreamNetworkMetrics: a report at once, and again whenever it changed, at most once a second.

Every message is whole, so a reader that lags has nothing to catch up with: it gets the newest report
when it reads again, and no queue is needed. report_cache.py says which streams share what.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import NoReturn, TypeAlias

from keeper_grpc.domain.errors import ShuttingDown, StreamMaxAge, SubscriberTooSlow
from keeper_grpc.domain.metrics.formulas import MetricsReport
from keeper_grpc.usecases.metrics import report_cache
from keeper_grpc.usecases.metrics.report_cache import ReportCache
from keeper_grpc.usecases.ports import Clock

AGE_SPREAD = 0.2
"""Streams end at their greatest age give or take this share, so that they do not return all at once."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing has changed for a while."""

    server_time: datetime


@dataclass(frozen=True, slots=True)
class MetricsFeedTiming:
    """A heartbeat after so much silence, a cut-off for a reader that takes nothing for `stall`, and
    about how old a stream may become.
    """

    heartbeat: timedelta
    stall: timedelta
    max_age: timedelta


Send: TypeAlias = Callable[[MetricsReport | Heartbeat], Awaitable[None]]


class MetricsFeed:
    """Serves the streams of one process.

    `subscribers` of them are open; `cut_offs` ended because their reader did not read.
    """

    def __init__(
        self,
        *,
        reports: ReportCache,
        timing: MetricsFeedTiming,
        clock: Clock,
        rng: Random,
    ) -> None:
        self._reports = reports
        self._timing = timing
        self._clock = clock
        self._rng = rng
        self._draining = asyncio.Event()
        self.subscribers = 0
        self.cut_offs = 0

    def drain(self) -> None:
        """End all streams."""
        self._draining.set()

    async def deliver(
        self, window: timedelta | None, business_category: str, send: Send
    ) -> NoReturn:
        """Send reports until the stream ends.

        Raises ShuttingDown, StreamMaxAge, SubscriberTooSlow and StorageUnavailable.
        """
        age = self._timing.max_age * self._rng.uniform(1 - AGE_SPREAD, 1 + AGE_SPREAD)
        # Beside the telling, because a reader that does not read holds that up.
        telling = asyncio.create_task(self._tell(window, business_category, send))
        draining = asyncio.create_task(self._draining.wait())
        self.subscribers += 1
        try:
            await asyncio.wait(
                (telling, draining),
                timeout=age.total_seconds(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if telling.done():
                await telling
            if draining.done():
                raise ShuttingDown("the server is shutting down; subscribe again")
            raise StreamMaxAge
        except SubscriberTooSlow:
            self.cut_offs += 1
            raise
        finally:
            self.subscribers -= 1
            for task in (telling, draining):
                task.cancel()
            await asyncio.wait((telling, draining))
            if not telling.cancelled():
                telling.exception()  # marks it as seen

    async def _tell(self, window: timedelta | None, business_category: str, send: Send) -> NoReturn:
        loop = asyncio.get_running_loop()
        heartbeat = self._timing.heartbeat.total_seconds()
        told: MetricsReport | None = None
        spoke = loop.time()
        while True:
            report = await self._reports.newest(window, business_category)
            message: MetricsReport | Heartbeat | None = None
            if told is None or not _same(told, report):
                message = told = report
            elif loop.time() - spoke >= heartbeat:
                message = Heartbeat(self._clock())
            if message is not None:
                await self._send(send, message)
                spoke = loop.time()
            await asyncio.sleep(min(report_cache.INTERVAL, heartbeat))

    async def _send(self, send: Send, message: MetricsReport | Heartbeat) -> None:
        try:
            async with asyncio.timeout(self._timing.stall.total_seconds()):
                await send(message)
        except TimeoutError:
            raise SubscriberTooSlow from None


def _same(told: MetricsReport, report: MetricsReport) -> bool:
    """Whether nothing but the time differs."""
    return told is report or told == replace(
        report, as_of=told.as_of, window_start=told.window_start
    )
