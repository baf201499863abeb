"""Rebuilding every count from the ledger: after damage, and after the half-life or k was changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.evidence.counting import Counting


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """How many patterns were recounted, from how many observations.

    `corrected` are the days, patterns and accounts whose counts for the metrics were wrong.
    """

    patterns: int
    observations: int
    corrected: int


class RebuildStore(Protocol):
    """Where the ledger and what is counted from it are."""

    async def begin(self, counting: Counting) -> None:
        """Note that counts of two half-lives may be about, unless they already have this one."""

    async def patterns(self) -> Sequence[UUID]:
        """Every pattern."""

    async def recount(self, pattern_id: UUID, counting: Counting) -> int | None:
        """Recount one pattern in one transaction: from how many observations; None if it is gone."""

    async def recount_measures(self) -> int:
        """Recount what metrics are computed from; how many were wrong. Writers wait meanwhile."""

    async def finish(self, counting: Counting) -> None:
        """Note that every count has these settings."""


class RebuildEvidence:
    """The use case. It may be interrupted anywhere and run again."""

    def __init__(self, *, store: RebuildStore, counting: Counting) -> None:
        self._store = store
        self._counting = counting

    async def __call__(self) -> RebuildResult:
        """Rebuild. Raises StorageUnavailable.

        Where a pattern lies and how it is worded are not counts, and stay. A pattern that is created
        meanwhile needs no rebuilding, as long as whoever counts it uses the same settings.
        """
        await self._store.begin(self._counting)
        done = observations = 0
        for pattern_id in await self._store.patterns():
            counted = await self._store.recount(pattern_id, self._counting)
            if counted is not None:
                done += 1
                observations += counted
        corrected = await self._store.recount_measures()
        await self._store.finish(self._counting)
        return RebuildResult(done, observations, corrected)
