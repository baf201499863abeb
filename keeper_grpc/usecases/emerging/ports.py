"""The detector's storage, as Protocols."""

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
        """Sightings that were added or renewed since the last step, oldest first.

        None is of a forgotten account.
        """

    async def add_clusters(self, families: Mapping[UUID, Family]) -> None:
        """Let these clusters be there; those that are, stay as they are."""

    async def assign(self, members: Mapping[int, tuple[UUID, datetime]]) -> None:
        """Make sightings (by id) members of clusters, no longer pending unless they were renewed after the time at
        which they were seen.

        Near the end of a step: whoever asks again renews a sighting, and waits until the step ends.
        """

    async def keep_sums(self, sums: Mapping[UUID, tuple[Vector, int]]) -> None:
        """Store the sum and number of each cluster's vectors for the next leader."""

    async def move(self, members: Mapping[int, UUID], families: Mapping[UUID, Family]) -> None:
        """Make sightings members of other clusters, pending or not; add the new clusters."""

    async def shown(self, after: UUID, limit: int) -> Mapping[UUID, Family]:
        """At most `limit` of the clusters that are shown, of any model, in the order of their ids."""

    async def discard_replaced(self, limit: int) -> bool:
        """Delete clusters of other models that are no longer shown, and `limit` of their sightings at most;
        whether there is more.
        """

    async def saved(self, cluster_ids: Collection[UUID]) -> Mapping[UUID, SavedCluster]:
        """Clusters as they were last saved and last shown."""

    async def sentences(
        self, centres: Mapping[UUID, Vector], sightings: Mapping[UUID, Sequence[int]]
    ) -> Mapping[UUID, Sequence[Sentence]]:
        """The sentences of these sightings of each cluster; none of one that was forgotten."""

    async def known(
        self,
        centres: Mapping[UUID, tuple[Family, Vector]],
        actions: Mapping[UUID, Vector],
        proven: Proven,
        first_seen: Mapping[UUID, datetime],
    ) -> Mapping[UUID, Known]:
        """The patterns near each centre that were known when its cluster was first seen, and how near the cluster's
        actions are to theirs, for each that has some.
        """

    async def published(self, pattern_ids: Collection[UUID], k: int) -> set[UUID]:
        """Those of the patterns that exist and are published."""

    async def current_progress(self) -> Progress:
        """The current position in the changes of patterns."""

    async def proven_since(
        self, progress: Progress, proven: Proven, limit: int
    ) -> tuple[Sequence[tuple[Family, Vector]], Progress]:
        """At most `limit` proven patterns that changed since `progress`, and the new progress."""

    async def save(self, changes: Sequence[ClusterChange], now: datetime) -> None:
        """Write the clusters, append the events and wake the readers."""


class Leadership(Protocol):
    """The leader's own connection, which holds its lock: a process that loses it is no longer leader."""

    def clusters(self) -> AsyncGenerator[StoredCluster, None]:
        """All clusters as the last step left them."""

    def summed(self, cluster_ids: Collection[UUID]) -> AsyncGenerator[StoredCluster, None]:
        """These clusters with their vectors summed again from the sightings, which takes long."""

    def members(self) -> AsyncGenerator[StoredMember, None]:
        """The sightings of all clusters."""

    async def window(self, family: Family, width: int) -> Window:
        """All members of a family's clusters, their vectors cut to `width`. Not part of a step."""

    def step(self) -> AbstractAsyncContextManager[DetectionTransaction]: ...


class DetectionStore(Protocol):
    """The database of sightings, clusters and events."""

    def lead(self) -> AbstractAsyncContextManager[Leadership | None]:
        """Try to become the leader; None when another process leads."""
