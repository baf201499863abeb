"""Folds the changes of measures that calls append into one row a day, so that reading stays cheap."""

from __future__ import annotations

from datetime import timedelta
from typing import NoReturn, Protocol

from keeper_grpc.usecases.periodically import periodically

INTERVAL = timedelta(seconds=5)
"""Time between folds: at 500 calls a second 2,500 changes wait, which a report adds up in 2 ms."""

BATCH = 10_000
"""Changes a transaction folds at most: some tens of milliseconds."""


class FoldStore(Protocol):
    """The table of changes."""

    async def fold(self, limit: int) -> int:
        """Fold at most `limit` of the oldest changes; how many there were, 0 while another process folds."""


class FoldMeasures:
    """The use case: `run` it as a task in every process. One folds at a time."""

    def __init__(self, store: FoldStore) -> None:
        self._store = store

    async def __call__(self) -> None:
        """Fold all changes. Raises StorageUnavailable."""
        while await self._store.fold(BATCH) == BATCH:
            pass

    async def run(self) -> NoReturn:
        """Fold for ever, and wait for a database that is away."""
        await periodically(self, INTERVAL, "folding_postponed")
