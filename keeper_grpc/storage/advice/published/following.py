"""Following the versions of scopes, so that what is held in memory is no older than a second."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import NoReturn

import structlog

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.storage.advice.published.memory import PublishedMemory
from keeper_grpc.storage.advice.published.versions import scope_versions
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.listening import listening
from keeper_grpc.storage.patterns.places_memory import PlacesMemory
from keeper_grpc.storage.patterns.versions import PATTERNS_CHANNEL

log = structlog.get_logger()

POLL = timedelta(milliseconds=400)
"""The longest time between two looks at the versions: they are the truth, and a notification may be lost."""

PAUSE = 0.1
"""Seconds between two looks for which no question waits: each capture notifies, and one look serves for many."""

REST = 3.0
"""How many times its own length a look is followed by rest, unless a question waits. Where many scopes change, and tables are
spread, a look is long: without rest the database would look all the time, and nobody would have asked."""


def rest_after(took: float) -> float:
    """The seconds after a look, which took so long, for which no other is needed: memory answers until the next one is over."""
    return min(max(PAUSE - took, REST * took), POLL.total_seconds())


class FollowPublished:
    """Looks, for ever."""

    def __init__(
        self, database: Database, memory: PublishedMemory, places: PlacesMemory | None = None
    ) -> None:
        self._database = database
        self._memory = memory
        self._places = places

    async def run(self) -> NoReturn:
        """Look at each notification and every `POLL`; questions go to the database while it cannot be asked."""
        while True:
            try:
                async with listening(self._database, PATTERNS_CHANNEL) as (connection, wakeups):
                    self._memory.wake = wakeups.wake
                    while True:
                        at = self._memory.now()
                        seen = await scope_versions(connection)
                        if self._places is not None:
                            await self._places.seen(connection, seen)
                        await self._memory.catch_up(connection, seen, at)
                        looked = self._memory.now()
                        rested = looked + rest_after(looked - at)
                        await wakeups.wait(POLL)
                        await self._memory.asked_within(rested - self._memory.now())
            except StorageUnavailable:
                log.warning("published_patterns_not_followed")
            await asyncio.sleep(POLL.total_seconds())
