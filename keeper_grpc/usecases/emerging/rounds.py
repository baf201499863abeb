"""Rounds over the clusters whose sightings did not change, which a step looks at all the same.

A slice a step: a step costs the same however many clusters and patterns there are, and the rounds go on
however many sightings come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from keeper_grpc.domain.emerging.clusters import Clusters
from keeper_grpc.domain.emerging.model import Family, Proven
from keeper_grpc.domain.emerging.novelty import NOBODY, Progress
from keeper_grpc.usecases.emerging.ports import DetectionTransaction
from keeper_grpc.usecases.ports import Vector

LOOK = 50
"""Clusters of the first look that a step takes: with their words a quarter of a second at some thousand
patterns of a type, which a new sighting then waits at most."""

CHANGED = 50
"""Patterns whose clusters a step looks for: at ten thousand clusters some 30 ms of the event loop."""

DISCARD = 500
"""Sightings of a replaced model that a step deletes."""

SLACK = 1e-4
"""By how much a centre in memory may be nearer to a pattern than in the database, which decides."""


class DetectionRounds:
    """One leader's rounds: over all that is shown when it begins, and over patterns as they change."""

    def __init__(self, proven: Proven, sweep: timedelta) -> None:
        self._proven = proven
        self._sweep = sweep
        self._next_sweep = datetime.min.replace(tzinfo=UTC)
        self._looked_at: UUID | None = NOBODY
        self._replaced = True
        self._progress: Progress | None = None

    @property
    def go_on(self) -> bool:
        """Whether there is a slice to look at now."""
        in_progress = self._progress is not None and self._progress.in_progress
        return self._looked_at is not None or self._replaced or in_progress

    async def due(
        self,
        transaction: DetectionTransaction,
        families: Mapping[Family, Clusters],
        now: datetime,
    ) -> Mapping[UUID, Family]:
        """The next slice."""
        if self._progress is None:
            # Before anything is compared with patterns: what changes later is looked for later.
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
        """What the last leader said may be of another version, under a smaller k, or of a model in which
        nobody detects any more. What is left of the last goes once all of it has faded.
        """
        if self._looked_at is not None:
            shown = await transaction.shown(self._looked_at, LOOK)
            self._looked_at = max(shown) if len(shown) == LOOK else None
            return shown
        if self._replaced:
            self._replaced = await transaction.discard_replaced(DISCARD)
        return {}
