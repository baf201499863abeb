"""Retention: deletes events that are too old to resume from, so that their table stops growing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NoReturn, Protocol

import structlog

from keeper_grpc.usecases.periodically import periodically
from keeper_grpc.usecases.ports import Clock

log = structlog.get_logger()

BATCH = 5_000
"""Events a transaction trims at most: some tens of milliseconds."""


class RetentionStore(Protocol):
    """The event table."""

    async def trim(self, before: datetime, limit: int) -> int:
        """Delete at most `limit` of the oldest events that are older than `before`; how many were deleted."""


class TrimEvents:
    """The use case. `run` it as a task in every process, or call it once."""

    def __init__(
        self, *, store: RetentionStore, retention: timedelta, interval: timedelta, clock: Clock
    ) -> None:
        self._store = store
        self._retention = retention
        self._interval = interval
        self._clock = clock

    async def __call__(self) -> int:
        """Delete all events that are due; how many there were. Raises StorageUnavailable."""
        before = self._clock() - self._retention
        total = 0
        while count := await self._store.trim(before, BATCH):
            total += count
        if total:
            log.info("emerging_events_trimmed", events=total)
        return total

    async def run(self) -> NoReturn:
        """Delete what is due, for ever, and wait for a database that is away."""
        await periodically(self, self._interval, "trimming_postponed")
