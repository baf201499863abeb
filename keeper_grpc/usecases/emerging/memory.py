"""The detector's memory: each cluster as a sum of vectors, and a tally of its sightings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from keeper_grpc.domain.emerging.clusters import Clusters
from keeper_grpc.domain.emerging.model import Family, Reassignment, Sighting, StoredCluster
from keeper_grpc.domain.emerging.tally import Fact, Tally
from keeper_grpc.usecases.emerging.ports import Leadership
from keeper_grpc.usecases.ports import NewId, Vector

log = structlog.get_logger()


@dataclass(slots=True)
class Touched:
    """The clusters of one step: all that it examines, and those of them whose sightings changed."""

    families: dict[UUID, Family] = field(default_factory=dict)
    resized: set[UUID] = field(default_factory=set)

    def resize(self, cluster_id: UUID, family: Family) -> None:
        """Add a cluster whose sightings changed."""
        self.families[cluster_id] = family
        self.resized.add(cluster_id)


class ClusterMemory:
    """The clusters of one leader. Each change notes in `touched` which clusters it concerned.

    After an error the memory is discarded, and the next leader restores it from the database.
    """

    def __init__(self, threshold: float) -> None:
        """`threshold` is the least cosine of a sighting to the centre of the cluster that it joins."""
        self._threshold = threshold
        self._families: dict[Family, Clusters] = {}
        self._tallies: dict[UUID, Tally] = defaultdict(Tally)

    @property
    def families(self) -> Mapping[Family, Clusters]:
        """The clusters, by model and type."""
        return self._families

    def widths(self) -> Mapping[Family, int]:
        """The width of the vectors of each family that has clusters."""
        return {family: clusters.width for family, clusters in self._families.items() if clusters}

    def holds(self, cluster_id: UUID, family: Family) -> bool:
        """Whether the cluster has sightings."""
        return cluster_id in self._families.get(family, ())

    def tally(self, cluster_id: UUID) -> Tally:
        """What the sightings of a cluster count."""
        return self._tallies[cluster_id]

    async def restore(self, leadership: Leadership) -> None:
        """Load what the last leader committed."""
        async with aclosing(leadership.members()) as members:
            async for member in members:
                self._tallies[member.cluster_id].add(member.sighting_id, member.fact)
        missing = await self._restore_sums(leadership.clusters())
        if missing:
            # A version without sums saved these clusters, or another program moved their sightings.
            log.info("emerging_detector_sums_rebuilt", clusters=len(missing))
            await self._restore_sums(leadership.summed(missing))

    async def _restore_sums(
        self, clusters: AsyncGenerator[StoredCluster, None]
    ) -> Collection[UUID]:
        """Take over each sum that counts as many sightings as its cluster has; the other clusters."""
        missing = []
        async with aclosing(clusters):
            async for stored in clusters:
                count = len(self._tallies.get(stored.cluster_id, ()))
                if stored.vector_sum is not None and stored.count == count:
                    self._clusters(stored.family).restore(
                        stored.cluster_id, stored.vector_sum, count
                    )
                elif count:
                    missing.append(stored.cluster_id)
        return missing

    def drop(self, sightings: Sequence[Sighting], touched: Touched) -> None:
        """Take deleted sightings out of their clusters."""
        for sighting in sightings:
            if sighting.cluster_id is not None:
                self._take_out(
                    sighting.family, sighting.cluster_id, sighting.sighting_id, sighting.vector
                )
                touched.resize(sighting.cluster_id, sighting.family)

    def reassign(self, moves: Sequence[Reassignment], touched: Touched) -> Mapping[int, UUID]:
        """Move sightings that are still in the cluster where a full pass found them; their new clusters."""
        still = [move for move in moves if move.sighting_id in self._tallies.get(move.source, ())]
        for move in still:
            fact = self._take_out(move.family, move.source, move.sighting_id, move.vector)
            self._clusters(move.family).add(move.target, move.vector)
            self._tallies[move.target].add(move.sighting_id, fact)
            touched.resize(move.source, move.family)
            touched.resize(move.target, move.family)
        return {move.sighting_id: move.target for move in still}

    def assign(
        self, pending: Sequence[Sighting], touched: Touched, new_id: NewId
    ) -> Mapping[int, UUID]:
        """Put new sightings into clusters and count renewed ones again; the cluster of each."""
        new = defaultdict(list)
        members: dict[int, UUID] = {}
        for sighting in pending:
            if sighting.cluster_id is None:
                new[sighting.family].append(sighting)
            else:
                members[sighting.sighting_id] = sighting.cluster_id
        for family, sightings in new.items():
            joined = self._clusters(family).assign([s.vector for s in sightings], new_id)
            members |= zip((s.sighting_id for s in sightings), joined, strict=True)
        for sighting in pending:
            cluster_id = members[sighting.sighting_id]
            self._tallies[cluster_id].add(sighting.sighting_id, sighting.fact)
            if sighting.cluster_id is None:
                touched.resize(cluster_id, sighting.family)
            else:
                touched.families[cluster_id] = sighting.family
        return members

    def sums(self, touched: Touched) -> Mapping[UUID, tuple[Vector, int]]:
        """The sum and the number of the vectors of each cluster whose sightings changed."""
        return {
            cluster_id: (self._families[family].total(cluster_id), len(self._tallies[cluster_id]))
            for cluster_id in touched.resized
            if self.holds(cluster_id, family := touched.families[cluster_id])
        }

    def _take_out(self, family: Family, cluster_id: UUID, sighting_id: int, vector: Vector) -> Fact:
        """Remove a sighting from its cluster."""
        self._clusters(family).remove(cluster_id, [vector])
        tally = self._tallies[cluster_id]
        fact = tally.remove(sighting_id)
        if not len(tally):
            del self._tallies[cluster_id]
        return fact

    def _clusters(self, family: Family) -> Clusters:
        return self._families.setdefault(family, Clusters(self._threshold))
