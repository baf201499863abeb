"""StreamNetworkMetrics: a report at once, and again whenever it changed, at most once a second.

Every message is whole, so a reader that lags has nothing to catch up with: it gets the newest report
when it reads again, and no queue is needed. Streams that ask the same share one look at the database.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import NoReturn, Protocol, TypeAlias, TypeVar

from keeper_grpc.domain.errors import KeeperError, ShuttingDown, StreamMaxAge, SubscriberTooSlow
from keeper_grpc.domain.metrics import Report
from keeper_grpc.usecases.network_metrics import NetworkMetrics
from keeper_grpc.usecases.ports import Clock

INTERVAL = 1.0
"""Seconds between looks for a change: people read no faster, and a report is not free."""

AGE_SPREAD = 0.2
"""Streams end at their greatest age give or take this share, so that they do not return all at once."""

KEPT = 64
"""Reports that are shared, the last ones asked for: a year of days is some tens of kilobytes."""

Answer = TypeVar("Answer")


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


Send: TypeAlias = Callable[[Report | Heartbeat], Awaitable[None]]


class VersionStore(Protocol):
    """Where changes are seen."""

    async def version(self) -> str:
        """Another one whenever anything that is measured may have changed."""


class MetricsFeed:
    """Serves the streams of one process."""

    def __init__(
        self,
        *,
        metrics: NetworkMetrics,
        store: VersionStore,
        timing: MetricsFeedTiming,
        clock: Clock,
        rng: Random,
    ) -> None:
        self._metrics = metrics
        self._store = store
        self._timing = timing
        self._clock = clock
        self._rng = rng
        self._draining = asyncio.Event()
        self._look: asyncio.Task[str] | None = None
        self._looked = 0.0
        self._reports: OrderedDict[tuple[datetime, str, str], asyncio.Task[Report]] = OrderedDict()

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
        finally:
            for task in (telling, draining):
                task.cancel()
            await asyncio.wait((telling, draining))
            if not telling.cancelled():
                telling.exception()  # marks it as seen

    async def _tell(self, window: timedelta | None, business_category: str, send: Send) -> NoReturn:
        loop = asyncio.get_running_loop()
        heartbeat = self._timing.heartbeat.total_seconds()
        told: Report | None = None
        spoke = loop.time()
        while True:
            report = await self._report(window, business_category)
            message: Report | Heartbeat | None = None
            if told is None or not _same(told, report):
                message = told = report
            elif loop.time() - spoke >= heartbeat:
                message = Heartbeat(self._clock())
            if message is not None:
                await self._send(send, message)
                spoke = loop.time()
            await asyncio.sleep(min(INTERVAL, heartbeat))

    async def _send(self, send: Send, message: Report | Heartbeat) -> None:
        try:
            async with asyncio.timeout(self._timing.stall.total_seconds()):
                await send(message)
        except TimeoutError:
            raise SubscriberTooSlow from None

    async def _report(self, window: timedelta | None, business_category: str) -> Report:
        """The report as of the newest version, made once for all who ask the same.

        The version is looked at first: what changes while a report is made brings another one.
        """
        version = await self._version()
        key = (self._metrics.start(window), business_category, version)
        making = self._reports.get(key)
        if making is None:
            making = asyncio.create_task(self._metrics(window, business_category))
            self._reports[key] = making
            if len(self._reports) > KEPT:
                self._reports.popitem(last=False)
        self._reports.move_to_end(key)
        try:
            return await _shared(making)
        except KeeperError:
            # A failure is told to all who wait for it, and to nobody after.
            if self._reports.get(key) is making:
                del self._reports[key]
            raise

    async def _version(self) -> str:
        """As of the last look, which is shared by all who come within one interval."""
        loop = asyncio.get_running_loop()
        if self._look is None or loop.time() - self._looked >= INTERVAL:
            self._look, self._looked = asyncio.create_task(self._store.version()), loop.time()
        return await _shared(self._look)


async def _shared(task: asyncio.Task[Answer]) -> Answer:
    """What a task comes to, which goes on when one of those who wait for it is cancelled."""
    return await asyncio.shield(task)


def _same(told: Report, report: Report) -> bool:
    """Whether nothing but the time differs."""
    return told is report or told == replace(
        report, as_of=told.as_of, window_start=told.window_start
    )
