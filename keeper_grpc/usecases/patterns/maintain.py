"""Maintenance: builds ANN indexes for scopes that have grown large, in one process at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import NoReturn, Protocol

from keeper_grpc.usecases.periodically import periodically


class MaintenanceStore(Protocol):
    """The indexes."""

    async def maintain(self, scope_size: int) -> int:
        """Build approximate indexes for scopes of at least `scope_size` patterns; how many."""


class Maintain:
    """The use case. `run` it as a task, or call it once."""

    def __init__(self, *, store: MaintenanceStore, scope_size: int, interval: timedelta) -> None:
        self._store = store
        self._scope_size = scope_size
        self._interval = interval

    async def __call__(self) -> int:
        """Build the indexes that are due; how many were built. Raises StorageUnavailable."""
        return await self._store.maintain(self._scope_size)

    async def run(self) -> NoReturn:
        """Build the indexes that are due, for ever, and wait for a database that is away."""
        await periodically(self, self._interval, "maintenance_postponed")
