"""StreamEmergingPatterns: a snapshot, then every change.

One reader per process follows the event table, keeps the present set of emerging patterns, and fans out to
a bounded queue per subscriber. The table is the source of truth: a subscriber that was disconnected, cut off
or moved to another process resumes from its token and misses nothing. docs/streams.md states the guarantees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import NoReturn, Protocol
from uuid import UUID

import structlog

from keeper_grpc.domain.emerging.model import (
    Change,
    EmergingPattern,
    FeedEvent,
    FeedFilter,
    FeedHistory,
    Place,
    discoveries_first,
)
from keeper_grpc.domain.emerging.view import FeedView
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.usecases.emerging.audience import Audience, Send, Subscription
from keeper_grpc.usecases.emerging.messages import Changed, SnapshotComplete
from keeper_grpc.usecases.emerging.present import Present
from keeper_grpc.usecases.emerging.resume_token import Stream, Token, read_token, write_token
from keeper_grpc.usecases.ports import Clock
from keeper_grpc.usecases.single_flight import FreshWork, SingleFlight
from keeper_grpc.usecases.stream_lifetime import (
    Heartbeat,
    OpenStreams,
    StreamTiming,
)

log = structlog.get_logger()

READ_BATCH = 500
"""Events read at once: bounds memory while catching up."""

CATCHING_UP = 2
"""Concurrent reads for subscribers that resume: a storm of them leaves the rest of the pool to other calls."""

PAUSES_PER_BUFFER = 4
"""Waits for lagging subscribers within a burst as large as a buffer."""

MAX_PAUSE = 0.05
"""The longest such wait in seconds: a subscriber that cannot write for so long is not merely busy."""


class Wakeups(Protocol):
    """Notifications of the event table."""

    async def wait(self, at_most: timedelta) -> None:
        """Wait until something was written since the last wait, for `at_most`.

        Raises StorageUnavailable when the connection that listens is lost.
        """


class FeedStore(Protocol):
    """Where the events are."""

    async def snapshot(self) -> tuple[FeedHistory, Sequence[EmergingPattern]]:
        """The emerging patterns, and the place in history at which they are these."""

    async def events_after(
        self, epoch: UUID, place: Place, limit: int
    ) -> Sequence[FeedEvent] | None:
        """The events that follow, oldest first; None where history does not have this place.

        The place may be trimmed, or belong to another history (a restored or replaced database).
        """

    async def before(
        self, epoch: UUID, place: Place, now: Place
    ) -> Mapping[UUID, EmergingPattern | None] | None:
        """The state at `place` of each cluster that has an event after `place` and up to `now`.

        The value is None for a cluster that was not emerging; the result is None where history does not
        have both places, in this order.
        """

    def wakeups(self) -> AbstractAsyncContextManager[Wakeups]:
        """Begin to listen. Whatever is written after the block began wakes `wait`."""


@dataclass(frozen=True, slots=True)
class FeedTiming(StreamTiming):
    """The timing of streams and of the reader, which reads the table at least every `poll`, and `retry`
    after it lost the database.
    """

    poll: timedelta = timedelta(seconds=5)
    retry: timedelta = timedelta(seconds=1)


class EmergingFeed:
    """The use case. `run` it as a task; one instance serves all streams of a process."""

    def __init__(
        self,
        *,
        store: FeedStore,
        timing: FeedTiming,
        buffer: int,
        clock: Clock,
        rng: Random,
    ) -> None:
        self._store = store
        self._timing = timing
        self._buffer = buffer
        self._clock = clock
        self._streams = OpenStreams(timing, rng, "resume with the last resume_token")
        self._subscriptions: set[Subscription] = set()
        self._read = FreshWork(self._read_on)
        turns = asyncio.Semaphore(CATCHING_UP)
        self._pasts = SingleFlight(self._past, turns)
        self._missed = SingleFlight(self._after, turns)
        # By filter, or by subscription where the filter has a window.
        self._audiences: dict[FeedFilter | Subscription, Audience] = {}
        self._now: Present | None = None
        self._unpaced = 0

    @property
    def subscribers(self) -> int:
        """The number of open streams."""
        return len(self._streams)

    @property
    def cut_offs(self) -> int:
        """Streams that ended because their reader did not read."""
        return self._streams.cut_offs

    @property
    def longest_queue(self) -> int:
        """The length of the longest queue, in changes."""
        return max((len(s.queue) for s in tuple(self._subscriptions)), default=0)

    async def run(self) -> None:
        """Follow the event table for ever, and wait for a database that is away."""
        while True:
            try:
                async with self._store.wakeups() as wakeups:
                    while True:
                        await self._read()
                        now = self._clock()
                        for audience in tuple(self._audiences.values()):
                            audience.judge(now)
                        await wakeups.wait(self._timing.poll)
            except StorageUnavailable:
                log.warning("emerging_feed_lost_database", subscribers=len(self._subscriptions))
            await asyncio.sleep(self._timing.retry.total_seconds())

    def drain(self) -> None:
        """End every stream, now and from now on, with ShuttingDown."""
        self._streams.drain()

    async def deliver(self, wanted: FeedFilter, resume_token: str, send: Send) -> NoReturn:
        """Send messages until the stream ends, also while `send` waits for the reader.

        Raises ResumeTokenInvalid, SubscriberTooSlow, StreamMaxAge, ShuttingDown, StorageUnavailable,
        and what `send` raises.
        """
        resume = read_token(resume_token)
        with self._streams.opened() as lifetime:
            subscription = Subscription(lifetime, self._buffer, send)
            self._subscriptions.add(subscription)
            try:
                await lifetime.run(self._tell(subscription, wanted, resume, resume_token))
            finally:
                self._subscriptions.discard(subscription)
                self._leave(subscription, wanted)

    async def _tell(
        self,
        subscription: Subscription,
        wanted: FeedFilter,
        resume: Token | None,
        resume_token: str,
    ) -> NoReturn:
        """Send everything that the subscriber has not received, and then every change."""
        # The token of heartbeats before the first message: the subscriber resumes where it wanted to.
        token = resume_token

        async def beat() -> None:
            await subscription.send(Heartbeat(self._clock()), token)

        waiting = subscription.lifetime.waiting
        now = await waiting(self._read(), beat)
        stream = Stream.of(now.epoch, wanted)
        view = await waiting(self._resumed(now, wanted, stream, resume), beat)
        if view is None:
            # No token, an expired one, or one from within a snapshot that was cut short.
            expired = resume is not None and resume != Token(stream, None)
            view = await self._snapshot(now, wanted, stream, subscription, expired=expired)
            token = write_token(stream, view.position)
        # A subscriber that catches up reads the table: its queue would overflow meanwhile.
        while (place := view.position.place) != now.place:
            events = await waiting(self._missed((now.epoch, place)), beat)
            # The reader has yet to come to later events, and delivers them to the whole audience.
            missed = [e for e in events or () if e.place.sequence <= now.place.sequence]
            if not missed:
                # The reader has passed this place, so the place was trimmed, or history was replaced.
                raise _replaced()
            for event in missed:
                told = view.apply(event)
                if told:
                    token = write_token(stream, told.position)
                    await subscription.send(Changed(told.change, told.cluster), token)
        # Nothing was awaited since the view reached the present, so no event is lost between, and all
        # views of the present through the same filter are equal.
        audience = self._join(subscription, wanted, Audience(stream, view))
        while True:
            item = await subscription.queue.get(subscription.lifetime.until_heartbeat)
            await subscription.send(*(item or (Heartbeat(self._clock()), audience.token)))

    def _join(self, subscription: Subscription, wanted: FeedFilter, alone: Audience) -> Audience:
        """Add the subscriber to the audience of its filter, whose members see the same in the present.

        With a window it has an audience of its own: each such view was judged at other moments.
        """
        audience = self._audiences.setdefault(_audience_key(subscription, wanted), alone)
        audience.members.add(subscription)
        audience.judge(self._clock())
        return audience

    def _leave(self, subscription: Subscription, wanted: FeedFilter) -> None:
        key = _audience_key(subscription, wanted)
        audience = self._audiences.get(key)
        if audience is not None:
            audience.members.discard(subscription)
            if not audience.members:
                del self._audiences[key]

    async def _resumed(
        self, now: Present, wanted: FeedFilter, stream: Stream, resume: Token | None
    ) -> FeedView | None:
        """The view as it was at the token; None when it is no longer known."""
        if resume is None or resume.stream != stream or resume.position is None:
            return None
        position = resume.position
        view = FeedView(wanted, position.place, position.judged or self._clock())
        if position.place == now.place:
            view.begin(now.clusters.values())
            return view
        past = await self._pasts((now.epoch, position.place))
        if past is None:
            return None
        view.begin(past)
        return view

    async def _past(self, where: tuple[UUID, Place]) -> Sequence[EmergingPattern] | None:
        """The emerging patterns at an earlier place; None when they are no longer known.

        Taken from the present by undoing what has changed since: reads no more than that.
        """
        if self._now is None:
            return None
        now = self._now.copy()
        before = await self._store.before(*where, now.place)
        return None if before is None else now.undone(before)

    async def _after(self, where: tuple[UUID, Place]) -> Sequence[FeedEvent] | None:
        return await self._store.events_after(*where, READ_BATCH)

    async def _snapshot(
        self,
        now: Present,
        wanted: FeedFilter,
        stream: Stream,
        subscription: Subscription,
        *,
        expired: bool,
    ) -> FeedView:
        view = FeedView(wanted, now.place, self._clock())
        members = sorted(
            view.begin(now.clusters.values()),
            key=discoveries_first,
        )
        within = write_token(stream, None)
        for cluster in members:
            await subscription.send(Changed(Change.NEW, cluster), within)
        complete = SnapshotComplete(len(members), expired)
        await subscription.send(complete, write_token(stream, view.position))
        return view

    async def _read_on(self) -> Present:
        """Bring the present up to what the table holds when this is called, and return it."""
        now = self._now
        while True:
            if now is None:
                now = self._now = Present(*await self._store.snapshot())
            events = await self._store.events_after(now.epoch, now.place, READ_BATCH)
            if events is None:
                # The database was restored or replaced, or was away for longer than events are kept.
                log.warning("emerging_history_replaced", subscribers=len(self._subscriptions))
                now = self._now = None
                self._streams.end_all(_replaced)
                self._audiences.clear()
                continue
            for event in events:
                now.apply(event)
                for audience in tuple(self._audiences.values()):
                    audience.tell(event)
                await self._let_write()
            if len(events) < READ_BATCH:
                return now

    async def _let_write(self) -> None:
        """Let the subscribers write, and within a burst wait a little for those that lag.

        Without this wait a burst of more events than a buffer holds would cut off readers that do read. A
        reader that does not read is cut off after a few such waits, and then delays the others no more.
        """
        await asyncio.sleep(0)
        self._unpaced += 1
        if self._unpaced < self._buffer // PAUSES_PER_BUFFER:
            return
        self._unpaced = 0
        loop = asyncio.get_running_loop()
        give_up = loop.time() + MAX_PAUSE
        while any(s.crowded for s in self._subscriptions) and loop.time() < give_up:  # noqa: ASYNC110 - a signal of each queue would cost each message
            await asyncio.sleep(MAX_PAUSE / 50)


def _audience_key(subscription: Subscription, wanted: FeedFilter) -> FeedFilter | Subscription:
    return wanted if wanted.window is None else subscription


def _replaced() -> StorageUnavailable:
    return StorageUnavailable("the history of events was replaced; resume for a new snapshot")
