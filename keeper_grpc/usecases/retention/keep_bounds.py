"""Deletes, or rolls up, what is older than its retention: in small batches with pauses, one process at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NoReturn, Protocol

import structlog

from keeper_grpc.usecases.periodically import periodically
from keeper_grpc.usecases.ports import Clock

log = structlog.get_logger()

BATCH = 500
"""Rows that a transaction takes at most: some tens of milliseconds, and their locks as long."""

MAX_PAUSE = 1.0
"""Seconds at most between two batches."""


class Bounded(Protocol):
    """One kind of rows that must not become more and more."""

    @property
    def name(self) -> str:
        """What they are, for the log and the metrics."""

    async def trim(self, now: datetime, limit: int) -> int:
        """Take at most `limit` of the oldest that are due, in one transaction; how many were taken.

        0 also while another process does the same, and where all that are due are in use.
        """


class KeepBounds:
    """The use case. `run` it as a task in every process, or call it once."""

    def __init__(
        self,
        bounded: Sequence[Bounded],
        *,
        interval: timedelta,
        clock: Clock,
    ) -> None:
        """`rows` counts what was taken since, by kind."""
        self._bounded = bounded
        self._interval = interval
        self._clock = clock
        self.rows = {kind.name: 0 for kind in bounded}

    async def __call__(self) -> Mapping[str, int]:
        """Take all that is due; how much of each kind. Raises StorageUnavailable."""
        taken: dict[str, int] = {}
        for kind in self._bounded:
            while rows := await self._batch(kind):
                taken[kind.name] = taken.get(kind.name, 0) + rows
        if taken:
            log.info("retention_kept", **taken)
        return taken

    async def run(self) -> NoReturn:
        """Take what is due, for ever, and wait for a database that is away."""
        await periodically(self, self._interval, "retention_postponed")

    async def _batch(self, kind: Bounded) -> int:
        time = asyncio.get_running_loop().time
        start = time()
        rows = await kind.trim(self._clock(), BATCH)
        if rows:
            self.rows[kind.name] += rows
            # Half of the time at most: calls come first, on the database's disk too.
            await asyncio.sleep(min(time() - start, MAX_PAUSE))
        return rows
