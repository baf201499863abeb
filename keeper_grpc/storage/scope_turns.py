"""Takes turns in a scope within this process, without holding a connection while waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from keeper_grpc.domain.patterns.pattern import Scope


class ScopeTurns:
    """Admits one task per scope, and `at_once` scopes, within this process.

    The scope's lock in the database is what makes captures correct. But each waiter for it holds a connection,
    and a busy scope would take all of them from other calls; a waiter here holds none.
    """

    def __init__(self, at_once: int) -> None:
        self._scopes: WeakValueDictionary[Scope, asyncio.Lock] = WeakValueDictionary()
        self._places = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def turn(self, scope: Scope) -> AsyncIterator[None]:
        """Wait for the scope, then for one of the places; the end of the block frees both."""
        # Each task that waits or works refers to the lock, so that it lives as long as it is needed.
        lock = self._scopes.setdefault(scope, asyncio.Lock())
        async with lock, self._places:
            yield
