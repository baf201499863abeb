"""StreamNetworkMetrics: a report at once, and again whenever it changed, at most once a second.

Every message is whole, so a reader that lags has nothing to catch up with: it gets the newest report
when it reads again, and no queue is needed. Streams that ask the same share one look at the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import NoReturn, Protocol, TypeAlias

from keeper_grpc.domain.errors import ShuttingDown, StreamMaxAge
from keeper_grpc.domain.metrics import Report
from keeper_grpc.usecases.network_metrics import NetworkMetrics
from keeper_grpc.usecases.ports import Clock

INTERVAL = 1.0
"""Seconds between looks for a change: people read no faster, and a report is not free."""

AGE_SPREAD = 0.2
"""Streams end at their greatest age give or take this share, so that they do not return all at once."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing has changed for a while."""

    server_time: datetime


Send: TypeAlias = Callable[[Report | Heartbeat], Awaitable[None]]


class VersionStore(Protocol):
    """Where changes are seen."""

    async def version(self) -> int:
        """A number that is another one whenever anything that is measured has changed."""


@dataclass(slots=True)
class _Shared:
    """The last report of one question, and what was true when it was made."""

    version: int
    day: date
    report: Report


class MetricsFeed:
    """Serves the streams of one process."""

    def __init__(
        self,
        *,
        metrics: NetworkMetrics,
        store: VersionStore,
        heartbeat: timedelta,
        max_age: timedelta,
        clock: Clock,
        rng: Random,
    ) -> None:
        self._metrics = metrics
        self._store = store
        self._heartbeat = heartbeat.total_seconds()
        self._max_age = max_age.total_seconds()
        self._clock = clock
        self._rng = rng
        self._draining = asyncio.Event()
        self._looking = asyncio.Lock()
        self._version = 0
        self._looked = -INTERVAL
        self._reports: dict[tuple[timedelta | None, str], _Shared] = {}

    def drain(self) -> None:
        """End all streams."""
        self._draining.set()

    async def deliver(
        self, window: timedelta | None, business_category: str, send: Send
    ) -> NoReturn:
        """Send reports until the stream ends.

        Raises ShuttingDown, StreamMaxAge and StorageUnavailable.
        """
        age = self._max_age * self._rng.uniform(1 - AGE_SPREAD, 1 + AGE_SPREAD)
        # Beside the telling, because a reader that does not read holds that up.
        telling = asyncio.create_task(self._tell(window, business_category, send))
        draining = asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait(
                (telling, draining), timeout=age, return_when=asyncio.FIRST_COMPLETED
            )
            if telling.done():
                await telling
            if draining.done():
                raise ShuttingDown("the server is shutting down; subscribe again")
            raise StreamMaxAge
        finally:
            for task in (telling, draining):
                task.cancel()
            await asyncio.wait((telling, draining))
            if not telling.cancelled():
                telling.exception()  # marks it as seen

    async def _tell(self, window: timedelta | None, business_category: str, send: Send) -> NoReturn:
        loop = asyncio.get_running_loop()
        told: Report | None = None
        spoke = loop.time()
        while True:
            report = await self._report(window, business_category)
            if told is None or not _same(told, report):
                await send(report)
                told, spoke = report, loop.time()
            elif loop.time() - spoke >= self._heartbeat:
                await send(Heartbeat(self._clock()))
                spoke = loop.time()
            await asyncio.sleep(min(INTERVAL, self._heartbeat))

    async def _report(self, window: timedelta | None, business_category: str) -> Report:
        """The report as of the newest version, made once for all who ask the same."""
        question = (window, business_category)
        async with self._looking:
            loop = asyncio.get_running_loop()
            if loop.time() - self._looked >= INTERVAL:
                version = await self._store.version()
                today = self._clock().date()
                # Reports that nobody has asked for since they went stale are not kept.
                self._reports = {
                    asked: shared
                    for asked, shared in self._reports.items()
                    if shared.version == version and shared.day == today
                }
                self._version, self._looked = version, loop.time()
            shared = self._reports.get(question)
            if shared is None:
                # The version was read first: what changes in between brings another report.
                report = await self._metrics(window, business_category)
                shared = _Shared(self._version, self._clock().date(), report)
                self._reports[question] = shared
        return shared.report


def _same(told: Report, report: Report) -> bool:
    """Whether nothing but the time differs."""
    return told is report or told == replace(
        report, as_of=told.as_of, window_start=told.window_start
    )
