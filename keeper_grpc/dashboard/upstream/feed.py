"""Feeds of the service's data, each read once for all pages that show it.

Feed                  listeners, and a task that runs while there are any
 +- MetricsFeed       the metrics of one filter, and whether they are stale
 +- EmergingFeed      the emerging patterns of one line of business
 +- Fetched           the response of a call, repeated when something has changed
Shared                one feed for each key, as long as it has listeners
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Generic, TypeVar

from keeper_grpc.client import (
    Alive,
    Changed,
    Interrupted,
    KeeperClient,
    KeeperClientError,
    Reported,
    SnapshotComplete,
)
from keeper_grpc.dashboard.filters import Filter
from keeper_grpc.dashboard.upstream.refused import REFUSED
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse

_log = logging.getLogger(__name__)

Listener = Callable[[], None]
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_PACE = 0.25
"""Seconds in which changes are collected before listeners are called: more often would flicker."""

_LINGER = 20.0
"""Seconds for which a feed outlives its last listener, so that a reloaded page finds it warm."""

_PAUSE = 5.0
"""Seconds before a call that failed after its own retries is repeated."""

_REFUSED_PAUSE = 60.0
"""Seconds before a call is repeated that the dashboard's own token does not allow: a token may be exchanged."""

_FETCH_PACE = 2.0
"""Minimum seconds between two identical calls."""

_FETCH_AGAIN = 60.0
"""Maximum seconds between two identical calls, for changes that move no metric."""

_GONE = (EmergingPattern.CHANGE_PROMOTED, EmergingPattern.CHANGE_FADED)

_GONE_FOR = 600.0
"""Seconds for which a departed emerging pattern is still shown."""

_GONE_KEPT = 5
"""Departed patterns shown at most."""


class Feed(ABC):
    """Calls its listeners after every change; they read its attributes.

    `problem` is the error that prevents reading: a KeeperClientError, or the exception of a defect.
    """

    def __init__(self) -> None:
        self.problem: Exception | None = None
        self.on_idle: Callable[[], None] = lambda: None
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None
        self._telling: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        self._idle = self._when_idle()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Subscribe to changes. The returned function unsubscribes."""
        self._idle.cancel()
        self._listeners.append(listener)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)
            if not self._listeners:
                self._idle.cancel()
                self._idle = self._when_idle()

        return stop

    def close(self) -> None:
        """End the subscription upstream."""
        self._idle.cancel()
        if self._telling is not None:
            self._telling.cancel()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.on_idle()

    @property
    @abstractmethod
    def known(self) -> bool:
        """Whether there is anything to show."""

    async def settled(self) -> None:
        """Wait until there is something to show, or a problem. The feed has a listener meanwhile."""
        stop = self.listen(lambda: None)
        try:
            while not self.known and self.problem is None:
                self._news.clear()
                await self._news.wait()
        finally:
            stop()

    @abstractmethod
    async def _follow(self) -> None:
        """Read from the service until cancelled. Raises KeeperClientError."""

    def _changed(self) -> None:
        """Schedule a call of the listeners."""
        self._news.set()
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_PACE, self._tell)

    def _tell(self) -> None:
        self._telling = None
        for listener in list(self._listeners):
            try:
                listener()
            except Exception:  # noqa: BLE001 - a defect of one page must not keep the others from the news
                _log.exception("a page could not show a change")

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except KeeperClientError as error:
                self._failed(error)
            except Exception as defect:  # noqa: BLE001 - it must not make every page stand still for good
                _log.exception("a feed could not be read")
                self._failed(defect)
            await asyncio.sleep(_REFUSED_PAUSE if self._refused() else _PAUSE)

    def _refused(self) -> bool:
        problem = self.problem
        return isinstance(problem, KeeperClientError) and problem.code in REFUSED

    def _failed(self, problem: Exception) -> None:
        """Set the problem."""
        self.problem = problem
        self._changed()

    def _when_idle(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(_LINGER, self.close)


class MetricsFeed(Feed):
    """The metrics of one filter. `report` is None until the first report.

    `stale` is set when `report` may be outdated: there is a problem, or the server was silent for
    longer than `stale_after` seconds. `heard` is the time of its last message.
    """

    def __init__(self, client: KeeperClient, where: Filter, stale_after: float) -> None:
        super().__init__()
        self.report: GetNetworkMetricsResponse | None = None
        self.heard: datetime | None = None
        self.stale = False
        self._client = client
        self._where = where
        self._stale_after = stale_after
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def known(self) -> bool:
        return self.report is not None

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        super().close()

    async def _follow(self) -> None:
        if self._where.dates is None:
            await self._watch()
            return
        # A window ends now, and chosen dates stay where they are: tomorrow it is longer.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(until_midnight(datetime.now(UTC))):
                await self._watch()

    async def _watch(self) -> None:
        events = self._client.watch_network_metrics(
            window=self._where.window, business_category=self._where.category
        )
        self._expect()
        async with aclosing(events):
            async for event in events:
                match event:
                    case Reported(report):
                        self.report = report
                        self._fresh()
                    case Alive():
                        self._fresh()
                    case Interrupted(error):
                        self._failed(error)

    def _failed(self, problem: Exception) -> None:
        self.stale = True
        super()._failed(problem)

    def _fresh(self) -> None:
        self.heard = datetime.now(UTC)
        self.stale = False
        self.problem = None
        self._expect()
        self._changed()

    def _expect(self) -> None:
        """Restart the timer that marks the report stale."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(self._stale_after, self._silent)

    def _silent(self) -> None:
        self.stale = True
        self._changed()


class EmergingFeed(Feed):
    """The emerging patterns of one line of business (empty: of all).

    `patterns` holds the current ones by id; `gone` the last few departed ones in their final state.
    `complete` is set once the snapshot has arrived.
    """

    def __init__(self, client: KeeperClient, category: str) -> None:
        super().__init__()
        self.patterns: dict[str, EmergingPattern] = {}
        self.gone: deque[EmergingPattern] = deque(maxlen=_GONE_KEPT)
        self.complete = False
        self._client = client
        self._category = category

    @property
    def known(self) -> bool:
        return self.complete

    async def _follow(self) -> None:
        self.patterns.clear()
        self.complete = False
        events = self._client.watch_emerging(business_category=self._category)
        async with aclosing(events):
            async for event in events:
                match event:
                    case Changed(pattern):
                        self._take(pattern)
                    case SnapshotComplete():
                        self.complete = True
                    case Interrupted(error):
                        self._failed(error)
                        continue
                if self.complete:
                    self.problem = None
                self._changed()

    def _take(self, pattern: EmergingPattern) -> None:
        name = pattern.emerging_pattern_id
        for departed in list(self.gone):
            if departed.emerging_pattern_id == name:
                self._forget(departed)
        if pattern.change not in _GONE:
            self.patterns[name] = pattern
            return
        self.patterns.pop(name, None)
        self.gone.append(pattern)
        asyncio.get_running_loop().call_later(_GONE_FOR, self._forget, pattern)

    def _forget(self, departed: EmergingPattern) -> None:
        """Drop this departure, unless the same cluster has departed again since."""
        for index, pattern in enumerate(self.gone):
            if pattern is departed:
                del self.gone[index]
                self._changed()
                return


class Fetched(Feed, Generic[T]):
    """The response of a call. `value` is None until the first response."""

    def __init__(self, fetch: Callable[[], Awaitable[T]]) -> None:
        super().__init__()
        self.value: T | None = None
        self._fetch = fetch
        self._wanted = asyncio.Event()

    @property
    def known(self) -> bool:
        return self.value is not None

    def refresh(self) -> None:
        """Schedule a new call; concurrent requests of several pages share it."""
        self._wanted.set()

    async def _follow(self) -> None:
        while True:
            self._wanted.clear()
            self.value = await self._fetch()
            self.problem = None
            self._changed()
            await asyncio.sleep(_FETCH_PACE)
            try:
                async with asyncio.timeout(_FETCH_AGAIN):
                    await self._wanted.wait()
            except TimeoutError:
                continue


def until_midnight(now: datetime) -> float:
    """Seconds until the next day (UTC) has begun."""
    return 86_400.0 - (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()


async def settled(*feeds: Feed, within: float) -> None:
    """Wait until each has something to show or a problem, so long at most: a page that is built then does not move."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            await asyncio.gather(*(feed.settled() for feed in feeds))


F = TypeVar("F", bound=Feed)


class Shared(Generic[K, F]):
    """One feed for each key, however many pages ask for it."""

    def __init__(self, make: Callable[[K], F]) -> None:
        self._make = make
        self._open: dict[K, F] = {}

    def __getitem__(self, key: K) -> F:
        feed = self._open.get(key)
        if feed is None:
            feed = self._open[key] = self._make(key)
            feed.on_idle = lambda: self._closed(key)
        return feed

    def _closed(self, key: K) -> None:
        self._open.pop(key, None)

    def __len__(self) -> int:
        return len(self._open)

    def close(self) -> None:
        """End all of them."""
        for feed in list(self._open.values()):
            feed.close()
