"""Work that many ask for at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from keeper_grpc.domain.errors import StorageUnavailable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SharedWork(Generic[K, V]):
    """Is done once for all who ask for the same while it is under way, and only so much at once.

    It goes on as long as somebody waits for it, whoever asked first.
    """

    def __init__(self, work: Callable[[K], Awaitable[V]], turns: asyncio.Semaphore) -> None:
        self._work = work
        self._turns = turns
        self._under_way: dict[K, _Flight[V]] = {}

    async def __call__(self, key: K) -> V:
        """The outcome, or the error, of work that is under way or begins now."""
        flight = self._under_way.get(key)
        if flight is None:
            flight = self._under_way[key] = _Flight(asyncio.ensure_future(self._in_turn(key)))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.task.done() or not flight.waiting:
                # Done, or given up by all. Whoever comes next begins anew.
                flight.task.cancel()
                if self._under_way.get(key) is flight:
                    del self._under_way[key]

    async def _in_turn(self, key: K) -> V:
        async with self._turns:
            return await self._work(key)


class _Flight(Generic[V]):
    def __init__(self, task: asyncio.Task[V]) -> None:
        self.task = task
        self.waiting = 0


class FreshWork(Generic[V]):
    """Is done by one at a time. Whoever asks gets the outcome of work that began after the asking.

    So those who wait meanwhile share the next: a thousand who come at once cost two.
    """

    def __init__(self, work: Callable[[], Awaitable[V]]) -> None:
        self._work = work
        self._turn = asyncio.Lock()
        self._begun = 0
        self._ended = 0
        self._outcome: V
        self._error: StorageUnavailable | None = None

    async def __call__(self) -> V:
        """The outcome, or the error."""
        asked = self._begun
        async with self._turn:
            if self._ended <= asked:
                self._begun += 1
                try:
                    self._outcome, self._error = await self._work(), None
                except StorageUnavailable as error:
                    self._error = error
                # Not so for one that was cancelled: the next in turn does it anew.
                self._ended = self._begun
            if self._error is not None:
                raise self._error
            return self._outcome
