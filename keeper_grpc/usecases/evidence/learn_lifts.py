"""Learning the lifts of scripts from scripts that read alike in other patterns, in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NoReturn, Protocol

from keeper_grpc.domain.evidence.lifts import Lifts, Worded, learn_lifts
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.usecases.periodically import periodically

REST = 20
"""Times as long as learning took until it is done again: a large network spends a twentieth of a core on it."""


class LiftStore(Protocol):
    """Where scripts and their lifts are."""

    async def worded(self, rule: PublicationRule) -> Sequence[Worded]:
        """The published scripts of published patterns, with the outcomes of all owners."""

    async def keep(self, lifts: Lifts) -> int:
        """Give these scripts these lifts, and all others none; of how many that changed.

        Where another process is at it, nothing is changed.
        """


class LearnLifts:
    """The use case. `run` it as a task, or call it once."""

    def __init__(
        self,
        *,
        store: LiftStore,
        rule: PublicationRule,
        interval: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._rule = rule
        self._interval = interval
        self._monotonic = monotonic
        self._rests_until = monotonic()

    async def __call__(self) -> int:
        """Learn what is new; of how many scripts the lift changed. Raises StorageUnavailable."""
        begun = self._monotonic()
        scripts = await self._store.worded(self._rule)
        # Seconds for a large network, which calls must not wait for.
        learned = await asyncio.to_thread(learn_lifts, scripts)
        changed = await self._store.keep(learned.lifts)
        self._rests_until = begun + (1 + REST) * (self._monotonic() - begun)
        return changed

    async def run(self) -> NoReturn:
        """Do so for ever. The first turn comes an interval after the start, which need not wait: lifts are kept."""
        await asyncio.sleep(self._interval.total_seconds())
        await periodically(self._turn, self._interval, "lifts_postponed")

    async def _turn(self) -> None:
        if self._monotonic() >= self._rests_until:
            await self()
