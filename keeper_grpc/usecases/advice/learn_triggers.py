"""Learning triggers from outcomes, in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import NoReturn, Protocol, TypeAlias

from keeper_grpc.domain.advice.learned_trigger import Condition, LearnedTrigger
from keeper_grpc.domain.advice.trigger_mining import Case, choose, mine
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.usecases.periodically import periodically
from keeper_grpc.usecases.ports import Clock

REST = 50
"""Times as long as learning took until it is done again: a large network spends a fiftieth of a core on it."""

Known: TypeAlias = Collection[tuple[PatternKey, tuple[Condition, ...]]]


class TriggerStore(Protocol):
    """Where outcomes and triggers are."""

    def cases(self, rule: PublicationRule) -> AsyncIterator[tuple[PatternKey, Sequence[Case]]]:
        """The outcomes of each published pattern of enough owners, of accounts that count."""

    async def known_triggers(self) -> Known:
        """The triggers that are in use."""

    async def keep(self, triggers: Sequence[LearnedTrigger], now: datetime) -> int:
        """Use these triggers, and retire all others; how many are new or retired.

        Where another process is at it, nothing is changed.
        """


class LearnTriggers:
    """The use case. `run` it as a task, or call it once."""

    def __init__(
        self,
        *,
        store: TriggerStore,
        rule: PublicationRule,
        interval: timedelta,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._rule = rule
        self._interval = interval
        self._clock = clock
        self._monotonic = monotonic
        self._rests_until = monotonic()

    async def __call__(self) -> int:
        """Learn what is new; how many triggers are new or retired. Raises StorageUnavailable."""
        begun = self._monotonic()
        known = await self._store.known_triggers()
        # Calls must not wait for what takes half a second for some patterns.
        mined = [
            await asyncio.to_thread(mine, key, cases, self._rule)
            async for key, cases in self._store.cases(self._rule)
        ]
        chosen = await asyncio.to_thread(choose, mined, known)
        changed = await self._store.keep(chosen, self._clock())
        self._rests_until = begun + (1 + REST) * (self._monotonic() - begun)
        return changed

    async def run(self) -> NoReturn:
        """Do so for ever. The first turn comes an interval after the start, which need not wait: triggers are kept."""
        await asyncio.sleep(self._interval.total_seconds())
        await periodically(self._turn, self._interval, "triggers_postponed")

    async def _turn(self) -> None:
        if self._monotonic() >= self._rests_until:
            await self()
