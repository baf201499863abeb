"""The emerging-pattern detector: turns sightings into clusters, and changes of clusters into events.

One process of a database leads and detects; the others wait for its lock. The leader holds only
sums of vectors in memory and can be replaced at any time: whatever it has not committed, the next
leader finds pending.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from keeper_grpc.domain.emerging import (
    Change,
    ClusterChange,
    Clusters,
    Emergence,
    EmergingPattern,
    Family,
    Proven,
    Sighting,
    State,
    StoredCluster,
    transition,
    worth_telling,
)
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.usecases.ports import Clock, NewId, Vector

log = structlog.get_logger()

BATCH = 500
"""Sightings a step looks at: bounds the step's transaction to a few milliseconds per cluster."""


@dataclass(frozen=True, slots=True)
class DetectorTiming:
    """How far back the detector looks, and how often it does what."""

    window: timedelta = timedelta(days=7)
    poll: timedelta = timedelta(milliseconds=200)
    sweep: timedelta = timedelta(seconds=5)
    takeover: timedelta = timedelta(seconds=3)


class DetectionTransaction(Protocol):
    """One step's reads and writes: all or nothing."""

    async def expired(self, before: datetime, limit: int) -> Sequence[Sighting]:
        """Delete sightings that left the window, and return them."""

    async def pending(self, limit: int) -> Sequence[Sighting]:
        """Sightings that were added or renewed since the detector looked, oldest first."""

    async def assign(self, members: Mapping[int, UUID], families: Mapping[UUID, Family]) -> None:
        """Mark sightings (by id) as members of clusters and as looked at; add the new clusters."""

    async def emerging(self) -> Mapping[UUID, Family]:
        """The clusters that subscribers see now."""

    async def saved(
        self, cluster_ids: Collection[UUID]
    ) -> Mapping[UUID, tuple[State, EmergingPattern]]:
        """State and description of clusters as they were last saved."""

    async def described(
        self, centres: Mapping[UUID, Vector], similarities: Mapping[UUID, float]
    ) -> Mapping[UUID, EmergingPattern]:
        """Clusters as their sightings describe them now; absent where there are none left."""

    async def proven(
        self, centres: Mapping[UUID, tuple[Family, Vector]], proven: Proven
    ) -> Mapping[UUID, UUID]:
        """The proven pattern nearest to each centre, where there is one."""

    async def save(self, changes: Sequence[ClusterChange], now: datetime) -> None:
        """Write the clusters, append the events and wake the readers."""


class Leadership(Protocol):
    """The leader's own connection. Losing it is losing the lead."""

    async def clusters(self) -> Sequence[StoredCluster]:
        """All clusters, to begin with."""

    def step(self) -> AbstractAsyncContextManager[DetectionTransaction]: ...


class DetectionStore(Protocol):
    """Where sightings are read and events are written."""

    def lead(self) -> AbstractAsyncContextManager[Leadership | None]:
        """Try to become the leader; None when another process leads."""


class DetectEmerging:
    """The use case: `run` it as a task; cancel the task to stop it."""

    def __init__(
        self,
        *,
        store: DetectionStore,
        cluster_threshold: float,
        emergence: Emergence,
        proven: Proven,
        timing: DetectorTiming,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._store = store
        self._threshold = cluster_threshold
        self._emergence = emergence
        self._proven = proven
        self._timing = timing
        self._clock = clock
        self._new_id = new_id
        self._families: dict[Family, Clusters] = {}
        self._next_sweep = datetime.min.replace(tzinfo=UTC)

    async def run(self) -> None:
        """Lead when nobody else does, for ever. A database that is away is waited for."""
        while True:
            try:
                async with self._store.lead() as leadership:
                    if leadership is not None:
                        await self._lead(leadership)
            except StorageUnavailable:
                log.warning("emerging_detector_lost_database")
            await asyncio.sleep(self._timing.takeover.total_seconds())

    async def _lead(self, leadership: Leadership) -> None:
        log.info("emerging_detector_leads")
        await self.restore(leadership)
        while True:
            if not await self.step(leadership):
                await asyncio.sleep(self._timing.poll.total_seconds())

    async def restore(self, leadership: Leadership) -> None:
        """Load what the last leader committed."""
        stored = defaultdict(list)
        for cluster in await leadership.clusters():
            stored[cluster.family].append((cluster.cluster_id, cluster.vector_sum, cluster.count))
        self._families = {}
        for family, clusters in stored.items():
            self._clusters(family).restore(clusters)

    async def step(self, leadership: Leadership) -> bool:
        """Look at what is new and at what is old, once; whether there was anything.

        An error leaves memory ahead of the database: give up the lead and restore.
        """
        now = self._clock()
        async with leadership.step() as transaction:
            touched: dict[UUID, Family] = {}
            await self._expire(transaction, now - self._timing.window, touched)
            pending = await transaction.pending(BATCH)
            await self._assign(transaction, pending, touched)
            if now >= self._next_sweep:
                # A pattern may have become proven without any new sighting.
                touched |= await transaction.emerging()
                self._next_sweep = now + self._timing.sweep
            if touched:
                await transaction.save(await self._changes(transaction, touched), now)
        return bool(pending)

    async def _expire(
        self, transaction: DetectionTransaction, before: datetime, touched: dict[UUID, Family]
    ) -> None:
        gone: dict[tuple[Family, UUID], list[Vector]] = defaultdict(list)
        for sighting in await transaction.expired(before, BATCH):
            if sighting.cluster_id is not None:
                gone[sighting.family, sighting.cluster_id].append(sighting.vector)
        for (family, cluster_id), vectors in gone.items():
            self._clusters(family).remove(cluster_id, vectors)
            touched[cluster_id] = family

    async def _assign(
        self,
        transaction: DetectionTransaction,
        pending: Sequence[Sighting],
        touched: dict[UUID, Family],
    ) -> None:
        members: dict[int, UUID] = {}
        for sighting in pending:
            cluster_id = sighting.cluster_id
            if cluster_id is None:
                clusters = self._clusters(sighting.family)
                cluster_id = clusters.assign(sighting.vector, self._new_id())
            members[sighting.sighting_id] = cluster_id
            touched[cluster_id] = sighting.family
        if members:
            await transaction.assign(members, touched)

    async def _changes(
        self, transaction: DetectionTransaction, touched: Mapping[UUID, Family]
    ) -> Sequence[ClusterChange]:
        alive = {
            cluster_id: self._families[family]
            for cluster_id, family in touched.items()
            if cluster_id in self._clusters(family)
        }
        centres = {cluster_id: alive[cluster_id].centre(cluster_id) for cluster_id in alive}
        saved = await transaction.saved(touched)
        described = await transaction.described(
            centres,
            {cluster_id: alive[cluster_id].mean_similarity(cluster_id) for cluster_id in alive},
        )
        shown = {
            cluster_id: (touched[cluster_id], centres[cluster_id])
            for cluster_id, cluster in described.items()
            if self._emergence.shows(cluster)
        }
        promoted = await transaction.proven(shown, self._proven) if shown else {}
        changes = []
        for cluster_id in touched:
            before, was = saved.get(cluster_id, (State.FORMING, None))
            cluster = described.get(cluster_id)
            if cluster is not None and cluster_id in promoted:
                cluster = replace(cluster, promoted_pattern_id=promoted[cluster_id])
            state, change = transition(before, cluster, self._emergence)
            if change is Change.UPDATED and cluster and was and not worth_telling(was, cluster):
                change = None
            changes.append(ClusterChange(cluster_id, cluster, was, state, change))
        return changes

    def _clusters(self, family: Family) -> Clusters:
        return self._families.setdefault(family, Clusters(self._threshold))
