"""Recounts all evidence from the ledger: after damage, and after a change of the half-life or k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.evidence.recounting import Recounted, in_parts
from keeper_grpc.domain.patterns.pattern import PatternKey


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """The numbers of recounted patterns and of their observations.

    `corrected` counts the days, patterns and accounts whose counts for the metrics were wrong, and the
    enhancements whose reaction was.
    """

    patterns: int
    observations: int
    corrected: int


class RebuildStore(Protocol):
    """The ledger and the counts that are made from it."""

    async def begin(self, counting: Counting) -> None:
        """Record that counts of two settings may coexist, unless all have these settings already."""

    async def patterns(self) -> Sequence[PatternKey]:
        """Every pattern, those of a scope together."""

    async def recount(self, keys: Sequence[PatternKey], counting: Counting) -> Recounted:
        """Recount some patterns of one scope in one transaction."""

    async def recount_measures(self) -> int:
        """Recount the inputs of the metrics and the reactions that stand; how many were wrong.

        Writers wait meanwhile.
        """

    async def finish(self, counting: Counting) -> None:
        """Record that every count has these settings."""


class RebuildEvidence:
    """The use case. It may be interrupted anywhere and run again."""

    def __init__(self, *, store: RebuildStore, counting: Counting) -> None:
        self._store = store
        self._counting = counting

    async def __call__(self) -> RebuildResult:
        """Rebuild. Raises StorageUnavailable.

        A pattern's vector and words are no counts, and stay. A pattern that is created meanwhile needs no
        rebuilding, as long as the process that counts it has the same settings.
        """
        await self._store.begin(self._counting)
        done = observations = 0
        for keys in in_parts(await self._store.patterns()):
            counted = await self._store.recount(keys, self._counting)
            done += counted.patterns
            observations += counted.observations
        corrected = await self._store.recount_measures()
        await self._store.finish(self._counting)
        return RebuildResult(done, observations, corrected)
