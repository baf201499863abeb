"""Trimming the tombstones of accounts that were forgotten long ago."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NoReturn, Protocol

from keeper_grpc.usecases.periodically import periodically
from keeper_grpc.usecases.ports import Clock


class TombstoneStore(Protocol):
    """Where tombstones are."""

    async def trim(self, now: datetime) -> None:
        """Delete those that have expired; they stopped no call any more."""


class TrimTombstones:
    """The use case. `run` it as a task, or call it once."""

    def __init__(self, *, store: TombstoneStore, clock: Clock, interval: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._interval = interval

    async def __call__(self) -> None:
        """Trim once. Raises StorageUnavailable."""
        await self._store.trim(self._clock())

    async def run(self) -> NoReturn:
        """Trim for ever."""
        await periodically(self, self._interval, "tombstones_not_trimmed")
