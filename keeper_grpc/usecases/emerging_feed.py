"""StreamEmergingPatterns: a snapshot, then every change, for weeks, through restarts.

One reader per process follows the event table and fans out to bounded queues, one a subscriber. The
table is the truth: a subscriber that was away, cut off or moved to another process resumes from its
token and misses nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias
from uuid import UUID

import structlog

from keeper_grpc.domain.emerging import (
    Change,
    EmergingPattern,
    FeedEvent,
    FeedFilter,
    FeedHistory,
)
from keeper_grpc.domain.errors import (
    ResumeTokenInvalid,
    ShuttingDown,
    StorageUnavailable,
    SubscriberTooSlow,
)
from keeper_grpc.usecases.ports import Clock

log = structlog.get_logger()

READ_BATCH = 500
"""Events read at once: bounds memory while catching up."""

_TOKEN = re.compile(r"v1\.([0-9a-f]{32})\.(snapshot|\d{1,18})")


@dataclass(frozen=True, slots=True)
class Changed:
    """A change, or a member of the snapshot."""

    change: Change
    cluster: EmergingPattern


@dataclass(frozen=True, slots=True)
class SnapshotComplete:
    """The snapshot is complete. `expired` says that it was sent because the token was too old."""

    count: int
    expired: bool


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing happened for a while."""

    server_time: datetime


Message: TypeAlias = Changed | SnapshotComplete | Heartbeat


class Wakeups(Protocol):
    """The ear at the event table."""

    async def wait(self, at_most: timedelta) -> None:
        """Until something was written since the last wait, or the time is over.

        Raises StorageUnavailable when nothing can be heard any more.
        """


class FeedStore(Protocol):
    """Where the events are."""

    async def snapshot(self) -> tuple[FeedHistory, Sequence[EmergingPattern]]: ...

    async def history(self) -> FeedHistory: ...

    async def events_after(self, sequence: int, limit: int) -> Sequence[FeedEvent]: ...

    async def shown_at(self, sequence: int) -> Sequence[EmergingPattern]: ...

    def wakeups(self) -> AbstractAsyncContextManager[Wakeups]:
        """Begin to listen. Whatever is written after the block began wakes `wait`."""


@dataclass(frozen=True, slots=True)
class FeedTiming:
    """Heartbeats after so long a silence; a look at the table at least so often."""

    heartbeat: timedelta = timedelta(seconds=15)
    poll: timedelta = timedelta(seconds=5)
    retry: timedelta = timedelta(seconds=1)


class _Subscriber:
    """A bounded queue, and whether it ran over."""

    def __init__(self, capacity: int) -> None:
        self.events: asyncio.Queue[FeedEvent] = asyncio.Queue(capacity)
        self.overflowed = False

    def offer(self, event: FeedEvent) -> None:
        try:
            self.events.put_nowait(event)
        except asyncio.QueueFull:
            self.overflowed = True
            # What it holds will be read again from the table, so memory need not hold it.
            while not self.events.empty():
                self.events.get_nowait()


class EmergingFeed:
    """The use case. `run` it as a task; one instance serves all streams of a process."""

    def __init__(self, *, store: FeedStore, timing: FeedTiming, buffer: int, clock: Clock) -> None:
        self._store = store
        self._timing = timing
        self._buffer = buffer
        self._clock = clock
        self._subscribers: set[_Subscriber] = set()
        self._draining = asyncio.Event()
        self._following = asyncio.Event()
        self._sequence: int | None = None

    async def run(self) -> None:
        """Follow the event table for ever. A database that is away is waited for."""
        while True:
            try:
                async with self._store.wakeups() as wakeups:
                    if self._sequence is None:
                        self._sequence = (await self._store.history()).sequence
                        self._following.set()
                    while True:
                        await self._read()
                        await wakeups.wait(self._timing.poll)
            except StorageUnavailable:
                log.warning("emerging_feed_lost_database", subscribers=len(self._subscribers))
            await asyncio.sleep(self._timing.retry.total_seconds())

    def drain(self) -> None:
        """End every stream, now and from now on, with ShuttingDown."""
        self._draining.set()

    async def subscribe(
        self, wanted: FeedFilter, resume_token: str
    ) -> AsyncGenerator[tuple[Message, str]]:
        """Messages and the token to resume after each, until the caller stops.

        Raises ResumeTokenInvalid, SubscriberTooSlow, ShuttingDown and StorageUnavailable.
        """
        subscriber = _Subscriber(self._buffer)
        # Registered before the table is read, so that no event falls between; what comes twice is
        # told by its sequence.
        self._subscribers.add(subscriber)
        try:
            async with aclosing(self._messages(subscriber, wanted, resume_token)) as messages:
                async for message in messages:
                    yield message
        finally:
            self._subscribers.discard(subscriber)

    async def _messages(
        self, subscriber: _Subscriber, wanted: FeedFilter, resume_token: str
    ) -> AsyncGenerator[tuple[Message, str]]:
        self._refuse_when_draining()
        await self._until_following()
        view = _View(wanted, self._clock)
        history = await self._store.history()
        resume = _parse(resume_token)
        known = resume is not None and resume[0] == history.epoch
        if resume and known and resume[1] is not None and resume[1] <= history.sequence:
            expired = resume[1] < history.trimmed
            position = resume[1]
        else:
            # No token, one of another database, or one from within a snapshot that was cut short.
            expired = resume is not None and not (known and resume[1] is None)
            position = -1
        if position < 0 or expired:
            history, clusters = await self._store.snapshot()
            position = history.sequence
            for cluster in view.begin(clusters):
                yield Changed(Change.NEW, cluster), _token(history.epoch, None)
            yield (
                SnapshotComplete(view.size, expired),
                _token(history.epoch, position),
            )
        else:
            view.begin(await self._store.shown_at(position))
            async for event in self._replay(position):
                position = event.sequence
                change = view.apply(event)
                if change:
                    yield Changed(change, event.cluster), _token(history.epoch, position)
        while True:
            event_or_none = await self._next(subscriber)
            if event_or_none is None:
                yield Heartbeat(self._clock()), _token(history.epoch, position)
                continue
            if event_or_none.sequence <= position:
                continue
            position = event_or_none.sequence
            change = view.apply(event_or_none)
            if change:
                yield Changed(change, event_or_none.cluster), _token(history.epoch, position)

    async def _replay(self, position: int) -> AsyncIterator[FeedEvent]:
        """What was missed, in pieces, until the end of the table."""
        while events := await self._store.events_after(position, READ_BATCH):
            for event in events:
                yield event
            position = events[-1].sequence

    async def _next(self, subscriber: _Subscriber) -> FeedEvent | None:
        """The next event, or None when it is time for a heartbeat."""
        self._refuse_when_draining()
        if subscriber.overflowed:
            raise SubscriberTooSlow
        if not subscriber.events.empty():
            return subscriber.events.get_nowait()
        event = asyncio.ensure_future(subscriber.events.get())
        drain = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait(
                (event, drain),
                timeout=self._timing.heartbeat.total_seconds(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            self._refuse_when_draining()
            return event.result() if event.done() else None
        finally:
            event.cancel()
            drain.cancel()

    async def _read(self) -> None:
        """Hand out what the table has beyond the last event that was read."""
        sequence = self._sequence if self._sequence is not None else 0
        while events := await self._store.events_after(sequence, READ_BATCH):
            for event in events:
                for subscriber in self._subscribers:
                    subscriber.offer(event)
            sequence = self._sequence = events[-1].sequence

    async def _until_following(self) -> None:
        """A snapshot taken before the reader began would miss what lies between the two."""
        try:
            async with asyncio.timeout(self._timing.poll.total_seconds()):
                await self._following.wait()
        except TimeoutError as error:
            raise StorageUnavailable("the event table cannot be followed now") from error

    def _refuse_when_draining(self) -> None:
        if self._draining.is_set():
            raise ShuttingDown("the server is shutting down; resume with the last resume_token")


class _View:
    """What one subscriber sees: turns changes of clusters into changes of what matches its filter."""

    def __init__(self, wanted: FeedFilter, clock: Clock) -> None:
        self._wanted = wanted
        self._clock = clock
        self._shown: set[UUID] = set()

    @property
    def size(self) -> int:
        return len(self._shown)

    def begin(self, clusters: Sequence[EmergingPattern]) -> Sequence[EmergingPattern]:
        """Start from these; returns those that match."""
        now = self._clock()
        matching = [cluster for cluster in clusters if self._wanted.matches(cluster, now)]
        self._shown = {cluster.emerging_pattern_id for cluster in matching}
        return matching

    def apply(self, event: FeedEvent) -> Change | None:
        """What the event is to this subscriber: a cluster that starts to match is new to it."""
        cluster_id = event.cluster.emerging_pattern_id
        seen = cluster_id in self._shown
        if event.change in (Change.FADED, Change.PROMOTED):
            self._shown.discard(cluster_id)
            return event.change if seen else None
        if self._wanted.matches(event.cluster, self._clock()):
            self._shown.add(cluster_id)
            return Change.UPDATED if seen else Change.NEW
        self._shown.discard(cluster_id)
        return Change.FADED if seen else None


def _token(epoch: UUID, sequence: int | None) -> str:
    """`sequence` None marks a place within a snapshot, from which only a new one can follow."""
    return f"v1.{epoch.hex}.{'snapshot' if sequence is None else sequence}"


def _parse(token: str) -> tuple[UUID, int | None] | None:
    if not token:
        return None
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise ResumeTokenInvalid
    return UUID(hex=match[1]), None if match[2] == "snapshot" else int(match[2])
