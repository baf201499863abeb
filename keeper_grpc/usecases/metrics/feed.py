"""StreamNetworkMetrics: a report at once, and again whenever it changed, at most once a second.

Every message is a whole report, so a reader that lags needs no queue: it gets the newest report when it
reads again. Streams share their reports: report_cache.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import NoReturn, TypeAlias

from keeper_grpc.domain.metrics.formulas import MetricsReport
from keeper_grpc.usecases.metrics import report_cache
from keeper_grpc.usecases.metrics.report_cache import ReportCache
from keeper_grpc.usecases.ports import Clock
from keeper_grpc.usecases.stream_lifetime import (
    Heartbeat,
    OpenStreams,
    StreamLifetime,
    StreamTiming,
)

Send: TypeAlias = Callable[[MetricsReport | Heartbeat], Awaitable[None]]


class MetricsFeed:
    """The use case. One instance serves all streams of a process."""

    def __init__(
        self, *, reports: ReportCache, timing: StreamTiming, clock: Clock, rng: Random
    ) -> None:
        self._reports = reports
        self._look = min(report_cache.INTERVAL, timing.heartbeat.total_seconds())
        self._clock = clock
        self._streams = OpenStreams(timing, rng, "subscribe again")

    @property
    def subscribers(self) -> int:
        """The number of open streams."""
        return len(self._streams)

    @property
    def cut_offs(self) -> int:
        """Streams that ended because their reader did not read."""
        return self._streams.cut_offs

    def drain(self) -> None:
        """End every stream, now and from now on, with ShuttingDown."""
        self._streams.drain()

    async def deliver(
        self, window: timedelta | None, business_category: str, send: Send
    ) -> NoReturn:
        """Send reports until the stream ends, also while `send` waits for the reader.

        Raises ShuttingDown, StreamMaxAge, SubscriberTooSlow, StorageUnavailable, and what `send` raises.
        """
        with self._streams.opened() as stream:
            await stream.run(self._tell(stream, window, business_category, send))

    async def _tell(
        self, stream: StreamLifetime, window: timedelta | None, business_category: str, send: Send
    ) -> NoReturn:
        async def beat() -> None:
            with stream.sending():
                await send(Heartbeat(self._clock()))

        last: MetricsReport | None = None
        while True:
            # It may take long until the report's turn comes, so heartbeats are sent meanwhile.
            report = await stream.waiting(self._reports.newest(window, business_category), beat)
            if last is None or not _same(last, report):
                last = report
                with stream.sending():
                    await send(report)
            elif not stream.until_heartbeat:
                await beat()
            await asyncio.sleep(self._look)


def _same(last: MetricsReport, report: MetricsReport) -> bool:
    """Whether nothing but the time differs."""
    return last is report or last == replace(
        report, as_of=last.as_of, window_start=last.window_start
    )
