"""The detector's full pass: clusters the window from scratch beside the steps, and returns corrections."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import structlog

from keeper_grpc.domain.emerging.model import Family, Reassignment, Window
from keeper_grpc.domain.emerging.reclustering import adjusted_rand, kept_ids, recluster
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.usecases.ports import NewId

log = structlog.get_logger()

ReadWindow: TypeAlias = Callable[[Family, int], Awaitable[Window]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of incremental clustering with the last full pass.

    `adjusted_rand` is the least of all families: 1 is identical, 0 is chance.
    """

    adjusted_rand: float
    sightings: int
    moved: int
    seconds: float


class FullPass:
    """One pass at a time, in a thread: it never delays a step.

    A pass works on a copy, so that a failed one loses only its corrections. `failures` counts consecutive
    ones.
    """

    def __init__(self, threshold: float, new_id: NewId) -> None:
        self._threshold = threshold
        self._new_id = new_id
        self._task: asyncio.Task[Sequence[Reassignment]] | None = None
        self._stop = threading.Event()
        self.agreement: Agreement | None = None
        self.failures = 0

    def start(self, read: ReadWindow, widths: Mapping[Family, int]) -> None:
        """Begin a pass over these families, unless one is under way."""
        if self._task is None:
            self._stop = threading.Event()
            self._task = asyncio.create_task(self._run(read, widths, self._stop))

    def take(self) -> Sequence[Reassignment]:
        """The corrections of a finished pass, once; none before its end or when it failed."""
        if self._task is None or not self._task.done():
            return ()
        task, self._task = self._task, None
        error = task.exception()
        if error is None:
            return task.result()
        self.failures += 1
        # The message is left out, because it may quote a row.
        log.error("emerging_full_pass_failed", error=type(error).__name__, failures=self.failures)
        return ()

    async def stop(self) -> None:
        """Cancel the pass. Its thread ends at its next check of the stop flag, and its result is dropped."""
        self._stop.set()
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                # Retrieved, so that asyncio does not report it as never retrieved.
                task.exception()

    async def _run(
        self, read: ReadWindow, widths: Mapping[Family, int], stop: threading.Event
    ) -> Sequence[Reassignment]:
        began = time.monotonic()
        moves: list[Reassignment] = []
        agreements: list[float] = []
        sightings = 0
        for family, width in widths.items():
            if stop.is_set():
                break
            try:
                window = await read(family, width)
            except StorageUnavailable:
                # The next pass makes up for it. The leader notices by itself if it lost the lead.
                log.warning("emerging_full_pass_lost_database")
                return ()
            found, agreement = await asyncio.to_thread(self._compare, window, stop)
            moves += found
            agreements.append(agreement)
            sightings += len(window.cluster_ids)
        self.failures = 0
        self.agreement = Agreement(
            min(agreements, default=1.0), sightings, len(moves), time.monotonic() - began
        )
        log.info(
            "emerging_full_pass",
            sightings=sightings,
            moved=len(moves),
            adjusted_rand=round(self.agreement.adjusted_rand, 4),
            seconds=round(self.agreement.seconds, 3),
        )
        return moves

    def _compare(
        self, window: Window, stop: threading.Event
    ) -> tuple[Sequence[Reassignment], float]:
        """The corrections of one family, and its adjusted Rand index."""
        before = window.cluster_ids
        if not before:
            return [], 1.0
        labels = recluster(window.vectors, self._threshold, stop.is_set)
        ids = kept_ids(before, labels, self._new_id)
        after = [ids[label] for label in labels]
        numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(before))}
        was = np.array([numbers[cluster] for cluster in before], np.int64)
        moves = [
            Reassignment(
                int(window.sighting_ids[position]),
                window.family,
                window.vectors[position].copy(),
                before[position],
                after[position],
            )
            for position in range(len(before))
            if before[position] != after[position]
        ]
        return moves, adjusted_rand(was, labels)
