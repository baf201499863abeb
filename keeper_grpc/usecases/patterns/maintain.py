"""Maintenance: what a growing network needs now and then, done by one process at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import NoReturn, Protocol

from keeper_grpc.usecases.periodically import periodically


class MaintenanceStore(Protocol):
    """What can be maintained."""

    async def maintain(self, scope_size: int) -> int:
        """Build approximate indexes for scopes of at least `scope_size` patterns; how many."""


class Maintain:
    """The use case. `run` it as a task, or call it once."""

    def __init__(self, *, store: MaintenanceStore, scope_size: int, interval: timedelta) -> None:
        self._store = store
        self._scope_size = scope_size
        self._interval = interval

    async def __call__(self) -> int:
        """Do what is due; how many indexes were built. Raises StorageUnavailable."""
        return await self._store.maintain(self._scope_size)

    async def run(self) -> NoReturn:
        """Do what is due, for ever. A database that is away is waited for."""
        await periodically(self, self._interval, "maintenance_postponed")
