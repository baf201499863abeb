"""Rounds over the clusters whose sightings did not change, but whose description may have.

A step examines one slice, so that its cost does not grow with the number of clusters and patterns, and the
rounds progress however many sightings come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from keeper_grpc.domain.emerging.clusters import Clusters
from keeper_grpc.domain.emerging.model import Family, Proven
from keeper_grpc.domain.emerging.novelty import LEAST_ID, Progress
from keeper_grpc.usecases.emerging.ports import DetectionTransaction
from keeper_grpc.usecases.ports import Vector

LOOK = 50
"""Clusters that a step examines in the first round. With their words this takes a quarter of a second at
some thousand patterns of a type, and delays a new sighting by no more."""

CHANGED = 50
"""Changed patterns that a step compares with clusters: some 30 ms of the event loop at ten thousand
clusters."""

DISCARD = 500
"""Sightings of a replaced embedding model that a step deletes at most."""

SLACK = 1e-4
"""Tolerance of a similarity computed in memory; the database decides with its own."""


class DetectionRounds:
    """One leader's rounds: first over all clusters that are shown, then over the patterns that change."""

    def __init__(self, proven: Proven, sweep: timedelta) -> None:
        self._proven = proven
        self._sweep = sweep
        self._next_sweep = datetime.min.replace(tzinfo=UTC)
        self._looked_at: UUID | None = LEAST_ID
        self._replaced = True
        self._progress: Progress | None = None

    @property
    def go_on(self) -> bool:
        """Whether there is a slice to examine now."""
        in_progress = self._progress is not None and self._progress.in_progress
        return self._looked_at is not None or self._replaced or in_progress

    async def due(
        self,
        transaction: DetectionTransaction,
        families: Mapping[Family, Clusters],
        now: datetime,
    ) -> Mapping[UUID, Family]:
        """The clusters of the next slice."""
        if self._progress is None:
            # Taken before anything is compared with patterns, so that no later change is missed.
            self._progress = await transaction.current_progress()
        due = dict(await self._first_look(transaction))
        if self._progress.in_progress or now >= self._next_sweep:
            changed, self._progress = await transaction.proven_since(
                self._progress, self._proven, CHANGED
            )
            vectors: dict[Family, list[Vector]] = defaultdict(list)
            for family, vector in changed:
                vectors[family].append(vector)
            for family in vectors.keys() & families.keys():
                near = families[family].near(vectors[family], self._proven.min_similarity - SLACK)
                due |= dict.fromkeys(near, family)
            self._next_sweep = now + self._sweep
        return due

    async def _first_look(self, transaction: DetectionTransaction) -> Mapping[UUID, Family]:
        """The clusters that the last leader showed: it may have been another version, with a smaller k or
        another embedding model. Clusters of a replaced model are deleted once all of them have faded.
        """
        if self._looked_at is not None:
            shown = await transaction.shown(self._looked_at, LOOK)
            self._looked_at = max(shown) if len(shown) == LOOK else None
            return shown
        if self._replaced:
            self._replaced = await transaction.discard_replaced(DISCARD)
        return {}
