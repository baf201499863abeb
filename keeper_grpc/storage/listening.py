"""Being woken by notifications: a connection that listens, and what it woke."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.storage.database import Connection, Database


class PostgresWakeups:
    """The notifications of one channel. They only wake: what happened is in the tables."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._lost = False

    def wake(self, *_: Any) -> None:
        """Record a notification."""
        self._woken.set()

    def lose(self, *_: Any) -> None:
        """Record the loss of the connection."""
        self._lost = True
        self._woken.set()

    async def wait(self, at_most: timedelta) -> None:
        """Wait for a notification or the timeout. Raises StorageUnavailable after a lost connection."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most.total_seconds()):
                await self._woken.wait()
        self._woken.clear()
        if self._lost:
            raise StorageUnavailable("the connection that listens was lost")


@asynccontextmanager
async def listening(
    database: Database, channel: str
) -> AsyncIterator[tuple[Connection, PostgresWakeups]]:
    """Listen on a connection of its own, which may be used for statements meanwhile."""
    wakeups = PostgresWakeups()
    async with database.connection() as connection:
        connection.add_termination_listener(wakeups.lose)
        await connection.add_listener(channel, wakeups.wake)
        try:
            yield connection, wakeups
        finally:
            connection.remove_termination_listener(wakeups.lose)
            if not connection.is_closed():
                await connection.remove_listener(channel, wakeups.wake)
