"""Concurrent callers of the same work share one run of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from keeper_grpc.domain.errors import StorageUnavailable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Callers with the same key share one run; a semaphore bounds concurrent runs.

    A run is cancelled when its last caller is cancelled; that of an earlier one does not disturb the others.
    """

    def __init__(self, work: Callable[[K], Awaitable[V]], turns: asyncio.Semaphore) -> None:
        self._work = work
        self._turns = turns
        self._running: dict[K, _Run[V]] = {}

    async def __call__(self, key: K) -> V:
        """The outcome, or the error, of the run in progress for this key, or of one that begins now."""
        run = self._running.get(key)
        if run is None:
            run = self._running[key] = _Run(asyncio.ensure_future(self._in_turn(key)))
        run.waiting += 1
        try:
            return await asyncio.shield(run.task)
        finally:
            run.waiting -= 1
            if run.task.done() or not run.waiting:
                # Done, or every caller was cancelled. The next caller starts another run.
                run.task.cancel()
                if self._running.get(key) is run:
                    del self._running[key]

    async def _in_turn(self, key: K) -> V:
        async with self._turns:
            return await self._work(key)


class _Run(Generic[V]):
    def __init__(self, task: asyncio.Task[V]) -> None:
        self.task = task
        self.waiting = 0


class FreshWork(Generic[V]):
    """One run at a time; a caller gets the outcome of a run that began after its call.

    Callers that wait during a run share the next one: a thousand that come at once cost two runs.
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
                # Not reached when the run was cancelled: the next caller in turn starts another.
                self._ended = self._begun
            if self._error is not None:
                raise self._error
            return self._outcome
