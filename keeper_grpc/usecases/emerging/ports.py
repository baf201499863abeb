"""What the emerging-pattern detector needs of a database."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.emerging.model import (
    ClusterChange,
    Family,
    Proven,
    SavedCluster,
    Sighting,
    StoredCluster,
    StoredMember,
    Window,
)
from keeper_grpc.domain.emerging.novelty import Known, Progress
from keeper_grpc.domain.emerging.words import Sentence
from keeper_grpc.usecases.ports import Vector


class DetectionTransaction(Protocol):
    """One step's reads and writes: all or nothing."""

    async def forgotten(self, limit: int) -> Sequence[Sighting]:
        """Delete sightings of accounts that were forgotten, and return them."""

    async def withdrawn(self, limit: int) -> Sequence[Sighting]:
        """Take sightings of accounts that ceased to count out of their clusters, and return them."""

    async def expired(self, before: datetime, limit: int) -> Sequence[Sighting]:
        """Delete sightings that left the window, and return them."""

    async def pending(self, limit: int) -> Sequence[Sighting]:
        """Sightings that were added or renewed since the detector looked, oldest first.

        Never of an account that was forgotten.
        """

    async def assign(self, members: Mapping[int, UUID], families: Mapping[UUID, Family]) -> None:
        """Mark sightings (by id) as members of clusters and as looked at; add the new clusters."""

    async def keep_sums(self, sums: Mapping[UUID, tuple[Vector, int]]) -> None:
        """Note the sum of a cluster's vectors, and how many they are, for the next leader."""

    async def move(self, members: Mapping[int, UUID], families: Mapping[UUID, Family]) -> None:
        """Make sightings members of other clusters, pending or not; add the new clusters."""

    async def shown(self, after: UUID, limit: int) -> Mapping[UUID, Family]:
        """At most so many of the clusters that subscribers see, of any model, in the order of their ids."""

    async def discard_replaced(self, limit: int) -> bool:
        """Delete what is left of clusters of other models, and as many of their sightings; whether
        there is more. Of none that subscribers see.
        """

    async def saved(self, cluster_ids: Collection[UUID]) -> Mapping[UUID, SavedCluster]:
        """Clusters as they were last saved and last shown."""

    async def sentences(
        self, centres: Mapping[UUID, Vector], sightings: Mapping[UUID, Sequence[int]]
    ) -> Mapping[UUID, Sequence[Sentence]]:
        """What these sightings of each cluster say. One that was forgotten says nothing."""

    async def known(
        self, centres: Mapping[UUID, tuple[Family, Vector]], proven: Proven
    ) -> Mapping[UUID, Known]:
        """What is known near each centre."""

    async def published(self, pattern_ids: Collection[UUID], k: int) -> set[UUID]:
        """Those of the patterns that exist and are published."""

    async def current_progress(self) -> Progress:
        """Where the changes of patterns stand now."""

    async def proven_since(
        self, progress: Progress, proven: Proven, limit: int
    ) -> tuple[Sequence[tuple[Family, Vector]], Progress]:
        """At most so many proven patterns that changed since, and how far that is."""

    async def save(self, changes: Sequence[ClusterChange], now: datetime) -> None:
        """Write the clusters, append the events and wake the readers."""


class Leadership(Protocol):
    """The leader's own connection. Losing it is losing the lead."""

    def clusters(self) -> AsyncGenerator[StoredCluster, None]:
        """All clusters as the steps left them, to begin with."""

    def summed(self, cluster_ids: Collection[UUID]) -> AsyncGenerator[StoredCluster, None]:
        """Clusters whose vectors are summed again from their sightings, which takes long."""

    def members(self) -> AsyncGenerator[StoredMember, None]:
        """What their sightings add to them, to begin with."""

    async def window(self, family: Family, width: int) -> Window:
        """All members of a family's clusters, their vectors cut to `width`. Not part of a step."""

    def step(self) -> AbstractAsyncContextManager[DetectionTransaction]: ...


class DetectionStore(Protocol):
    """Where sightings are read and events are written."""

    def lead(self) -> AbstractAsyncContextManager[Leadership | None]:
        """Try to become the leader; None when another process leads."""
