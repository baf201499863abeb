"""StreamMoves: the moves of one account, as their triggers begin and cease to hold.

Facts live in the stream and nowhere else: they are merged from its messages, evaluated, and gone with it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import NoReturn, TypeAlias
from uuid import UUID

from keeper_grpc.domain.authored.suggestions import SuggestedMove
from keeper_grpc.domain.errors import InvalidInput, TooBusy
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.usecases.advice.suggest import MAX_MOVES, Occasion
from keeper_grpc.usecases.ports import Clock
from keeper_grpc.usecases.stream_lifetime import (
    Heartbeat,
    OpenStreams,
    StreamLifetime,
    StreamTiming,
)

PACE = 0.25
"""Seconds between two evaluations of a stream at least. What comes in between is merged, and evaluated together."""

AGAIN = 60.0
"""Seconds after which the same facts are evaluated again: patterns prove themselves, fade and are retired meanwhile."""

MOST_BYTES = 16 * 1024
"""Of all facts of a stream, as JSON: as many as one message may have."""


@dataclass(frozen=True, slots=True)
class FactUpdate:
    """What a message of the stream says. A fact that is None is taken away."""

    account_id: str
    business_category: str
    facts: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Began:
    """A move that holds now, or that changed while it does."""

    move: SuggestedMove


@dataclass(frozen=True, slots=True)
class Ended:
    """A move that no longer holds."""

    pattern_id: UUID


@dataclass(frozen=True, slots=True)
class SnapshotComplete:
    """All that holds with the first facts was sent."""


Event: TypeAlias = Began | Ended | SnapshotComplete | Heartbeat
Send: TypeAlias = Callable[[Event], Awaitable[None]]


class MovesFeed:
    """The use case. One instance serves all streams of a process."""

    def __init__(
        self,
        *,
        suggest: Callable[[Occasion], Awaitable[Sequence[SuggestedMove]]],
        timing: StreamTiming,
        clock: Clock,
        rng: Random,
        pace: float = PACE,
        again: float = AGAIN,
    ) -> None:
        self._suggest = suggest
        self._clock = clock
        self._pace = pace
        self._again = again
        self._streams = OpenStreams(timing, rng, "send the facts again")

    def __len__(self) -> int:
        """The number of open streams."""
        return len(self._streams)

    def drain(self) -> None:
        """End every stream, now and from now on, with ShuttingDown."""
        self._streams.drain()

    async def deliver(self, updates: AsyncIterator[FactUpdate], send: Send) -> None:
        """Send moves until the stream ends, also while `send` waits for the reader.

        Returns where the caller sent no facts at all. Raises InvalidInput, ShuttingDown, StreamMaxAge,
        SubscriberTooSlow, StorageUnavailable, TooBusy before the snapshot, and what `updates` and `send` raise.
        """
        with self._streams.opened() as stream:
            try:
                await stream.run(_Following(self, stream, updates, send).follow())
            except _NoFacts:
                return

    async def moves(self, facts: _Facts) -> Sequence[SuggestedMove]:
        """The moves that hold with these facts."""
        return await self._suggest(
            Occasion(facts.account_id, facts.business_category, facts.known, MAX_MOVES)
        )

    def heartbeat(self) -> Heartbeat:
        """A sign of life, now."""
        return Heartbeat(self._clock())

    @property
    def pace(self) -> float:
        """Seconds between two evaluations of a stream."""
        return self._pace

    @property
    def again(self) -> float:
        """Seconds after which the same facts are evaluated again."""
        return self._again


class _NoFacts(Exception):
    """The caller has closed its side before any facts."""


class _Facts:
    """What one stream knows of its account."""

    def __init__(self, first: FactUpdate) -> None:
        self.account_id = first.account_id
        self.business_category = first.business_category
        self.known: Mapping[str, JsonValue] = {}
        self.take(first)

    def take(self, update: FactUpdate) -> None:
        """Merge what changed. Raises InvalidInput for another account, or where it becomes too much."""
        if update.account_id != self.account_id:
            raise InvalidInput("account_id", "a stream is of one account: open another one")
        if update.business_category != self.business_category:
            raise InvalidInput("business_category", "a stream is of one: open another one")
        merged = merge(self.known, update.facts)
        if len(json.dumps(merged, ensure_ascii=False).encode()) > MOST_BYTES:
            raise InvalidInput(
                "facts", f"all facts of a stream together have at most {MOST_BYTES} bytes"
            )
        self.known = merged


def merge(known: Mapping[str, JsonValue], changed: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The facts with what changed of them: object by object, and without those that are None now."""
    merged = dict(known)
    for name, value in changed.items():
        had = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = merge(had if isinstance(had, dict) else {}, value)
        else:
            merged[name] = value
    return merged


class _Following:
    """One stream that is open: its facts, and the moves that its caller was told of."""

    def __init__(
        self,
        feed: MovesFeed,
        stream: StreamLifetime,
        updates: AsyncIterator[FactUpdate],
        send: Send,
    ) -> None:
        self._feed = feed
        self._stream = stream
        self._updates = updates
        self._send = send
        self._told: dict[UUID, SuggestedMove] = {}

    async def follow(self) -> NoReturn:
        # The stream is open while it waits for facts, too: its age and a drain end it, and heartbeats come.
        first = await self._stream.waiting(self._next(), self._beat)
        if first is None:
            raise _NoFacts
        facts = _Facts(first)
        await self._tell(facts)
        await self._sent(SnapshotComplete())
        loop = asyncio.get_running_loop()
        upcoming: asyncio.Task[FactUpdate | None] | None = asyncio.ensure_future(self._next())
        ready, due = loop.time(), loop.time() + self._feed.again
        try:
            while True:
                wait = max(0.0, min(self._stream.until_heartbeat, due - loop.time()))
                if upcoming is None:
                    await asyncio.sleep(wait)
                else:
                    await asyncio.wait((upcoming,), timeout=wait)
                if upcoming is not None and upcoming.done():
                    update = upcoming.result()
                    # No more facts: those that are known go on.
                    upcoming = None
                    if update is not None:
                        facts.take(update)
                        upcoming = asyncio.ensure_future(self._next())
                        # Not before: what comes until then is taken too, however fast the caller sends.
                        due = min(due, ready)
                if loop.time() >= due:
                    ready, due = await self._round(facts)
                elif not self._stream.until_heartbeat:
                    await self._beat()
        finally:
            if upcoming is not None:
                upcoming.cancel()
                await asyncio.wait([upcoming])

    async def _beat(self) -> None:
        await self._sent(self._feed.heartbeat())

    async def _next(self) -> FactUpdate | None:
        return await anext(self._updates, None)

    async def _round(self, facts: _Facts) -> tuple[float, float]:
        """Tell what is new; when the facts may be evaluated again, and when they are at the latest."""
        time = asyncio.get_running_loop().time
        try:
            await self._tell(facts)
        except TooBusy as busy:
            # The stream is open, and its news is late.
            later = time() + busy.retry_after
            return later, later
        return time() + self._feed.pace, time() + self._feed.again

    async def _tell(self, facts: _Facts) -> None:
        """Send what differs from what was told."""
        moves = {move.pattern.pattern_id: move for move in await self._feed.moves(facts)}
        for pattern_id in [each for each in self._told if each not in moves]:
            await self._sent(Ended(pattern_id))
        for pattern_id, move in moves.items():
            told = self._told.get(pattern_id)
            if told is None or shown(told) != shown(move):
                await self._sent(Began(move))
        self._told = moves

    async def _sent(self, event: Event) -> None:
        with self._stream.sending():
            await self._send(event)


def shown(move: SuggestedMove) -> tuple[object, ...]:
    """What of a move is news when it changes: not the counts, which move with every outcome."""
    rate = move.expected_success_rate
    return (
        move.pattern.action,
        move.trigger,
        move.basis,
        move.learned is None,
        None if rate is None else round(rate, 2),
    )
