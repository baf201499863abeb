"""The lifetime of a server stream, the same for every feed: heartbeats, and what ends it.

A stream ends with StreamMaxAge at about `max_age`, with SubscriberTooSlow when its reader does not take
a message for `stall`, and with ShuttingDown when the process drains. Until then a heartbeat follows each
`heartbeat` without a message. docs/streams.md states what a reader may rely on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, NoReturn, TypeVar

from keeper_grpc.domain.errors import KeeperError, ShuttingDown, StreamMaxAge, SubscriberTooSlow

T = TypeVar("T")

AGE_JITTER = 0.2
"""Share by which the age of a stream may differ from the setting, so that streams which a restart opened
together do not all end together."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The message that a stream sends when it had no other for a while."""

    server_time: datetime


@dataclass(frozen=True, slots=True)
class StreamTiming:
    """The silence before a heartbeat, the age at which a stream ends, and the longest wait of a message
    for its reader.
    """

    heartbeat: timedelta = timedelta(seconds=15)
    max_age: timedelta = timedelta(hours=1)
    stall: timedelta = timedelta(seconds=30)


class OpenStreams:
    """The open streams of one feed in this process.

    `cut_offs` counts those that ended because their reader did not read.
    """

    def __init__(self, timing: StreamTiming, rng: Random, how_to_return: str) -> None:
        """`how_to_return` says in the error of a drain or a cut-off how the reader goes on."""
        self._timing = timing
        self._rng = rng
        self._how_to_return = how_to_return
        self._streams: set[StreamLifetime] = set()
        self._draining = False
        self.cut_offs = 0

    def __len__(self) -> int:
        """The number of open streams."""
        return len(self._streams)

    @contextmanager
    def opened(self) -> Iterator[StreamLifetime]:
        """A stream that is open while the block runs. Raises ShuttingDown during a drain."""
        if self._draining:
            raise self._shutting_down()
        stream = StreamLifetime(self._timing, self._how_to_return)
        self._streams.add(stream)
        age = self._timing.max_age * (1 + AGE_JITTER * (2 * self._rng.random() - 1))
        ageing = asyncio.get_running_loop().call_later(
            age.total_seconds(), stream.end, StreamMaxAge()
        )
        try:
            yield stream
        except SubscriberTooSlow:
            self.cut_offs += 1
            raise
        finally:
            ageing.cancel()
            self._streams.discard(stream)

    def drain(self) -> None:
        """End every stream with ShuttingDown, and open none from now on."""
        self._draining = True
        self.end_all(self._shutting_down)

    def end_all(self, error: Callable[[], KeeperError]) -> None:
        """End every stream, each with an error of its own."""
        for stream in tuple(self._streams):
            stream.end(error())

    def _shutting_down(self) -> ShuttingDown:
        return ShuttingDown(f"the server is shutting down; {self._how_to_return}")


class StreamLifetime:
    """One stream: its sender, its heartbeats and its end."""

    def __init__(self, timing: StreamTiming, how_to_return: str) -> None:
        self._how_to_return = how_to_return
        self._heartbeat = timing.heartbeat.total_seconds()
        self._stall = timing.stall.total_seconds()
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[KeeperError] = self._loop.create_future()
        self._sending_since: float | None = None
        self._last_sent = self._loop.time()

    @property
    def ended(self) -> bool:
        """Whether an error has ended the stream."""
        return self._ended.done()

    @property
    def until_heartbeat(self) -> float:
        """Seconds of silence that are left before a heartbeat is due; never negative."""
        return max(0.0, self._last_sent + self._heartbeat - self._loop.time())

    def end(self, error: KeeperError) -> None:
        """End the stream with an error, unless it has ended."""
        if not self._ended.done():
            self._ended.set_result(error)

    def cut_off(self) -> None:
        """End the stream with SubscriberTooSlow, unless it has ended."""
        self.end(SubscriberTooSlow(self._how_to_return))

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Surround the sending of one message, and measure its wait for the reader.

        Raises the stream's error when it has ended: nothing follows the end.
        """
        if self._ended.done():
            raise self._ended.result()
        self._sending_since = self._loop.time()
        yield
        self._sending_since = None
        self._last_sent = self._loop.time()

    async def waiting(self, work: Awaitable[T], send_heartbeat: Callable[[], Awaitable[None]]) -> T:
        """The outcome of `work`, with heartbeats while it takes. They do not disturb it."""
        task = asyncio.ensure_future(work)
        try:
            while True:
                await asyncio.wait((task,), timeout=self.until_heartbeat)
                if task.done():
                    return task.result()
                await send_heartbeat()
        finally:
            await _cancelled(task)

    async def run(self, feed: Awaitable[NoReturn]) -> NoReturn:
        """Run `feed` until the stream is ended or `feed` fails, whichever is first.

        It runs in a task of its own, because a reader that does not read blocks it.
        """
        task = asyncio.ensure_future(feed)
        try:
            limit = self._stall
            while not task.done() and not self._ended.done():
                await asyncio.wait(
                    (task, self._ended), timeout=limit, return_when=asyncio.FIRST_COMPLETED
                )
                limit = self._stall - self._stalled()
                if limit <= 0:
                    self.cut_off()
            if self._ended.done():
                raise self._ended.result()
            await task
        finally:
            await _cancelled(task)

    def _stalled(self) -> float:
        """Seconds for which the current message has waited for the reader."""
        return 0.0 if self._sending_since is None else self._loop.time() - self._sending_since


async def _cancelled(task: asyncio.Future[Any]) -> None:
    """End a task and retrieve its error, so that asyncio does not report it: the stream has ended already."""
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
