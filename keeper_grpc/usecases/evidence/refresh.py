"""Refreshing patterns after an account's standing changed: which of them count, and for whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from keeper_grpc.domain.patterns.pattern import PatternKey

AT_ONCE = 500
"""Patterns that are looked up at once; each is a transaction of its own."""


class StaleStore(Protocol):
    """Where patterns are noted whose totals are stale."""

    async def stale(self, limit: int) -> Sequence[PatternKey]:
        """Some of them, in any order."""

    async def refresh(self, key: PatternKey) -> bool:
        """Refresh one in a transaction; whether there was anything to do."""


class RefreshEvidence:
    """The use case. It may be interrupted anywhere and called again, also by another process."""

    def __init__(self, store: StaleStore) -> None:
        self._store = store

    async def __call__(self) -> int:
        """Refresh until nothing is stale; how many patterns were. Raises StorageUnavailable."""
        refreshed = 0
        while stale := await self._store.stale(AT_ONCE):
            for key in stale:
                refreshed += await self._store.refresh(key)
        return refreshed
