"""Waiting for one's turn in a scope without holding a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from keeper_grpc.domain.patterns.pattern import Scope


class ScopeTurns:
    """One at a time in a scope, and so many scopes at once, within this process.

    The scope's lock in the database is what makes captures correct. Waiting for it costs a connection
    each, and a busy scope would take them all from every other call; waiting here costs nothing.
    """

    def __init__(self, at_once: int) -> None:
        self._scopes: WeakValueDictionary[Scope, asyncio.Lock] = WeakValueDictionary()
        self._places = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def turn(self, scope: Scope) -> AsyncIterator[None]:
        """Wait for the scope, then for a place; both are free again at the end of the block."""
        # Held by whoever waits or works, so that the lock lives as long as anyone needs it.
        lock = self._scopes.setdefault(scope, asyncio.Lock())
        async with lock, self._places:
            yield
