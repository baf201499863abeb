"""Learning the patterns' priors from each other, in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn, Protocol

import structlog

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.domain.evidence.priors import Assigned, Judged, LearnedPriors, learn
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.evidence.spreads import FactContrast, learn_spreads
from keeper_grpc.usecases.periodically import periodically

log = structlog.get_logger()

_POSTPONED = "priors_postponed"
"""Logged when the database did not answer: the next turn learns."""


class PriorStore(Protocol):
    """Where patterns and their priors are."""

    async def judged(self, rule: PublicationRule) -> Sequence[Judged]:
        """Every pattern, with the priors that it has."""

    async def contrasts(self, rule: PublicationRule) -> Sequence[FactContrast]:
        """What single facts made of the outcomes of some published patterns of each type."""

    async def assign(self, assigned: Sequence[Assigned]) -> int:
        """Give patterns their priors, and bounds that follow from them; how many were given one.

        A pattern whose evidence has changed since is left for the next time, and all are where another
        process is at it.
        """

    async def expect(self, priors: LearnedPriors) -> None:
        """Keep the priors of patterns that are yet to come, by type and category."""


class LearnPriors:
    """The use case. `run` it as a task, or call it once."""

    def __init__(self, *, store: PriorStore, rule: PublicationRule, interval: timedelta) -> None:
        self._store = store
        self._rule = rule
        self._interval = interval

    async def __call__(self) -> int:
        """Learn what is new; of how many patterns the prior changed. Raises StorageUnavailable."""
        judged = await self._store.judged(self._rule)
        # Half a second for ten thousand patterns, which calls must not wait for.
        spreads = learn_spreads(await self._store.contrasts(self._rule))
        assigned, priors = await asyncio.to_thread(learn, judged, spreads)
        await self._store.expect(priors)
        return await self._store.assign(assigned)

    async def at_start(self) -> None:
        """Learn before the first question. A database that is too slow for it now has served without before: `run` learns."""
        try:
            await self()
        except StorageUnavailable:
            log.warning(_POSTPONED)

    async def run(self) -> NoReturn:
        """Do so for ever. The first turn comes an interval after the start, which has learned once."""
        await asyncio.sleep(self._interval.total_seconds())
        await periodically(self, self._interval, _POSTPONED)
