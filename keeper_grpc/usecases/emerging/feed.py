"""StreamEmergingPatterns: a snapshot, then every change, for weeks, through restarts.

One reader per process follows the event table, keeps what is emerging now, and fans out to bounded
queues, one a subscriber. The table is the truth: a subscriber that was away, cut off or moved to
another process resumes from its token and misses nothing. docs/streams.md states the guarantees.
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
"""Reads for subscribers that resume, at once: a storm of them leaves the pool to everyone else."""

PAUSES_PER_BUFFER = 4
"""Waits for lagging subscribers within a burst as large as a buffer."""

MAX_PAUSE = 0.05
"""Seconds of such a wait at most: a subscriber that cannot write so long is not just busy."""


class Wakeups(Protocol):
    """The ear at the event table."""

    async def wait(self, at_most: timedelta) -> None:
        """Until something was written since the last wait, or the time is over.

        Raises StorageUnavailable when nothing can be heard any more.
        """


class FeedStore(Protocol):
    """Where the events are."""

    async def snapshot(self) -> tuple[FeedHistory, Sequence[EmergingPattern]]:
        """What is emerging, and the place in history at which that is so."""

    async def events_after(
        self, epoch: UUID, place: Place, limit: int
    ) -> Sequence[FeedEvent] | None:
        """The events that follow, oldest first; None where history does not have this place.

        It may be trimmed beyond it, or be another history, or one that had parted from it before.
        """

    async def before(
        self, epoch: UUID, place: Place, now: Place
    ) -> Mapping[UUID, EmergingPattern | None] | None:
        """How each cluster that has an event after `place` and up to `now` was at `place`.

        The value is None for one that was not emerging; the whole is None where history does not
        have both places, in this order.
        """

    def wakeups(self) -> AbstractAsyncContextManager[Wakeups]:
        """Begin to listen. Whatever is written after the block began wakes `wait`."""


@dataclass(frozen=True, slots=True)
class FeedTiming(StreamTiming):
    """A stream's timing, and the reader's: it looks at the table at least every `poll`, and again
    `retry` after it lost the database.
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
        """Streams that are open."""
        return len(self._streams)

    @property
    def cut_offs(self) -> int:
        """Streams that ended because their reader did not read."""
        return self._streams.cut_offs

    @property
    def longest_queue(self) -> int:
        """Changes that wait for the subscriber who is the farthest behind."""
        return max((len(s.queue) for s in tuple(self._subscriptions)), default=0)

    async def run(self) -> None:
        """Follow the event table for ever. A database that is away is waited for."""
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
        """Send everything that the subscriber has not heard, and go on."""
        # Until something else is sent, it is to resume where it wanted to.
        token = resume_token

        async def beat() -> None:
            await subscription.send(Heartbeat(self._clock()), token)

        waiting = subscription.lifetime.waiting
        now = await waiting(self._read(), beat)
        stream = Stream.of(now.epoch, wanted)
        view = await waiting(self._resumed(now, wanted, stream, resume), beat)
        if view is None:
            # No token, one that is of no use, or one from within a snapshot that was cut short.
            expired = resume is not None and resume != Token(stream, None)
            view = await self._snapshot(now, wanted, stream, subscription, expired=expired)
            token = write_token(stream, view.position)
        # One that catches up reads the table and not a queue, which would run over meanwhile.
        while (place := view.position.place) != now.place:
            events = await waiting(self._missed((now.epoch, place)), beat)
            # The reader will come to later ones, and tell them to all who see the same.
            missed = [e for e in events or () if e.place.sequence <= now.place.sequence]
            if not missed:
                # The reader has been there: the place is gone, or history has parted from ours.
                raise _replaced()
            for event in missed:
                told = view.apply(event)
                if told:
                    token = write_token(stream, told.position)
                    await subscription.send(Changed(told.change, told.cluster), token)
        # Nothing was awaited since the view reached the present, so no event falls between, and the
        # view of any other who is in the present through the same filter is equal to this one.
        audience = self._join(subscription, wanted, Audience(stream, view))
        while True:
            item = await subscription.queue.get(subscription.lifetime.until_heartbeat)
            await subscription.send(*(item or (Heartbeat(self._clock()), audience.token)))

    def _join(self, subscription: Subscription, wanted: FeedFilter, alone: Audience) -> Audience:
        """Add the subscriber to those who see the same: in the present, that is the same filter.

        Not so with a window, which each subscriber has had judged at moments of its own.
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
        """The view as it was at the token, or None when that is not known any more."""
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
        """What was emerging at a place of the past, or None when that is not known any more.

        Most of the present was so then. Only what has changed since is asked for, however much is kept.
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
            key=lambda cluster: (cluster.last_seen_time, cluster.emerging_pattern_id),
            reverse=True,
        )
        within = write_token(stream, None)
        for cluster in members:
            await subscription.send(Changed(Change.NEW, cluster), within)
        complete = SnapshotComplete(len(members), expired)
        await subscription.send(complete, write_token(stream, view.position))
        return view

    async def _read_on(self) -> Present:
        """Bring the present up to what the table holds when this is called, and hand it out."""
        now = self._now
        while True:
            if now is None:
                now = self._now = Present(*await self._store.snapshot())
            events = await self._store.events_after(now.epoch, now.place, READ_BATCH)
            if events is None:
                # Another database was put in place of ours, or we were away for too long.
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
        """Let the subscribers write, and those that lag behind a burst a little longer.

        Without it a burst of more events than a buffer holds would cut off readers that do read. One
        that does not is soon cut off, after a few such waits; it holds up the others no longer.
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
