"""The bounded queue between the one reader of the events and one subscriber."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from typing import TypeAlias
from uuid import UUID

from keeper_grpc.domain.emerging.model import Change
from keeper_grpc.usecases.emerging.messages import Changed

Item: TypeAlias = tuple[Changed, str]
"""A change, and the token to resume after it."""


class QueueOverflow(Exception):
    """The queue is full."""


class FeedQueue:
    """At most `capacity` items, coalesced: of one cluster only the newest UPDATED waits.

    The newer UPDATED goes to the end, and the older one is dropped. So positions stay in order, and a
    subscriber that resumes between the two gets the newer one: the cluster is shown at both. Nothing else is dropped, and no UPDATED is moved past a NEW, FADED or PROMOTED of
    its cluster.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._waiting: OrderedDict[int, Item] = OrderedDict()
        self._updates: dict[UUID, int] = {}
        self._next_key = 0
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: Item) -> None:
        """Append. Raises QueueOverflow."""
        changed, _ = item
        cluster_id = changed.cluster.emerging_pattern_id
        older = self._updates.pop(cluster_id, None)
        if changed.change is Change.UPDATED:
            if older is not None:
                del self._waiting[older]
            self._updates[cluster_id] = self._next_key
        if len(self._waiting) >= self.capacity:
            raise QueueOverflow
        self._waiting[self._next_key] = item
        self._next_key += 1
        self._filled.set()

    async def get(self, at_most: float) -> Item | None:
        """Wait for the oldest item; None when none came within `at_most` seconds."""
        if not self._waiting:
            self._filled.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(at_most):
                    await self._filled.wait()
        # An item may have come after the timeout, too.
        return self.take() if self._waiting else None

    def take(self) -> Item:
        """The oldest item; there must be one."""
        key, item = self._waiting.popitem(last=False)
        cluster_id = item[0].cluster.emerging_pattern_id
        if self._updates.get(cluster_id) == key:
            del self._updates[cluster_id]
        return item
