"""What several accounts have begun to see: clusters of recent sightings, and their life.

Clustering is incremental "leader" clustering on the unit sphere (Hartigan, Clustering Algorithms,
1975, chapter 3, with moving centres): a sighting joins the cluster whose centre is nearest, if it is
near enough, else it starts one. A cluster needs only the sum S of its n unit vectors: its centre is
S / |S|, and the mean cosine of its members to that centre is |S| / n.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray


class Change(Enum):
    """What happened to an emerging pattern."""

    NEW = "new"
    UPDATED = "updated"
    PROMOTED = "promoted"
    FADED = "faded"


class State(Enum):
    """Where a cluster stands. FORMING has too few accounts to be shown to anyone."""

    FORMING = "forming"
    EMERGING = "emerging"
    PROMOTED = "promoted"


@dataclass(frozen=True, slots=True)
class EmergingPattern:
    """A cluster of recent sightings, as subscribers see it.

    `common_pattern` is the anonymized sentence of its most typical sighting.
    """

    emerging_pattern_id: UUID
    pattern_type: str
    embedding_model: str
    business_categories: tuple[str, ...]
    common_pattern: str
    account_count: int
    sighting_count: int
    mean_similarity: float
    mean_confidence: float
    total_potential_value: float
    first_seen_time: datetime
    last_seen_time: datetime
    promoted_pattern_id: UUID | None = None


Family: TypeAlias = tuple[str, str]
"""(embedding model, pattern type): sightings of different families never meet."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A sighting as the detector needs it. `cluster_id` is set when it was only renewed."""

    sighting_id: int
    family: Family
    vector: NDArray[np.float32]
    cluster_id: UUID | None


@dataclass(frozen=True, slots=True)
class StoredCluster:
    """A cluster to restore: the sum of its members' vectors and their number."""

    cluster_id: UUID
    family: Family
    vector_sum: NDArray[np.float32]
    count: int


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """What a step decided about one cluster.

    `cluster` is None when it has no sightings left; `was` is its description as last saved.
    """

    cluster_id: UUID
    cluster: EmergingPattern | None
    was: EmergingPattern | None
    state: State
    change: Change | None


@dataclass(frozen=True, slots=True)
class Proven:
    """When a known pattern makes a cluster old news: the same thing, published, and surely good."""

    min_similarity: float
    min_lower_bound: float
    min_accounts: int


@dataclass(frozen=True, slots=True)
class Emergence:
    """What makes a cluster an emerging pattern: enough accounts, and tight enough."""

    min_accounts: int
    min_similarity: float

    def shows(self, cluster: EmergingPattern) -> bool:
        """Whether the cluster is to be shown."""
        return (
            cluster.account_count >= self.min_accounts
            and cluster.mean_similarity >= self.min_similarity
        )


def transition(
    before: State, cluster: EmergingPattern | None, emergence: Emergence
) -> tuple[State, Change | None]:
    """The next state of a touched cluster, and the change that subscribers are told, if any.

    `cluster` is None when its last sighting left the window; its `promoted_pattern_id` is set when
    a proven pattern says the same. A cluster that was never shown is promoted silently, and one that
    was promoted stays so: subscribers have the pattern by then.
    """
    if cluster is None:
        return State.FORMING, Change.FADED if before is State.EMERGING else None
    if before is State.PROMOTED:
        return State.PROMOTED, None
    if not emergence.shows(cluster):
        return State.FORMING, Change.FADED if before is State.EMERGING else None
    if cluster.promoted_pattern_id is not None:
        return State.PROMOTED, Change.PROMOTED if before is State.EMERGING else None
    return State.EMERGING, Change.UPDATED if before is State.EMERGING else Change.NEW


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One change, at its place in history. `cluster` is as it was after the change."""

    sequence: int
    change: Change
    cluster: EmergingPattern


@dataclass(frozen=True, slots=True)
class FeedHistory:
    """Where the events of one database stand.

    `epoch` tells histories of different databases apart; events up to `trimmed` are gone.
    """

    epoch: UUID
    sequence: int
    trimmed: int


@dataclass(frozen=True, slots=True)
class FeedFilter:
    """What a subscriber wants to see. Empty and zero mean any."""

    pattern_type: str = ""
    business_category: str = ""
    min_accounts: int = 0
    min_similarity: float = 0.0
    window: timedelta | None = None

    def matches(self, cluster: EmergingPattern, now: datetime) -> bool:
        """Whether the subscriber wants to see this cluster. The window is judged at `now`."""
        return (
            self.pattern_type in ("", cluster.pattern_type)
            and (
                not self.business_category or self.business_category in cluster.business_categories
            )
            and cluster.account_count >= self.min_accounts
            and cluster.mean_similarity >= self.min_similarity
            and (self.window is None or cluster.last_seen_time >= now - self.window)
        )


RENEWAL = timedelta(minutes=1)
"""An account that asks the same again moves last_seen_time; less than this is not news."""


def worth_telling(before: EmergingPattern, now: EmergingPattern) -> bool:
    """Whether a cluster changed in a way that a subscriber would want to know."""
    if now.last_seen_time - before.last_seen_time >= RENEWAL:
        return True
    same_time = replace(now, last_seen_time=before.last_seen_time)
    return same_time != before


class Clusters:
    """The clusters of one pattern type within one embedding model, as sums of unit vectors.

    `threshold` is the least cosine between a sighting and the centre that it joins.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._ids: list[UUID] = []
        self._rows: dict[UUID, int] = {}
        self._sums: NDArray[np.float32] = np.empty((0, 0), np.float32)
        self._centres: NDArray[np.float32] = np.empty((0, 0), np.float32)
        self._counts: list[int] = []

    def __len__(self) -> int:
        return len(self._ids)

    def restore(self, clusters: Iterable[tuple[UUID, NDArray[np.float32], int]]) -> None:
        """Take over clusters from storage: (id, sum of the members' vectors, members)."""
        for cluster_id, total, count in clusters:
            self._append(cluster_id, total, count)

    def assign(self, vector: NDArray[np.float32], new_id: UUID) -> UUID:
        """The cluster that a sighting joins: the nearest one, or a new one called `new_id`."""
        if self._ids:
            similarities = self._centres[: len(self._ids)] @ vector
            nearest = int(np.argmax(similarities))
            if similarities[nearest] >= self._threshold:
                self._change(nearest, vector, 1)
                return self._ids[nearest]
        self._append(new_id, vector, 1)
        return new_id

    def remove(self, cluster_id: UUID, vectors: Sequence[NDArray[np.float32]]) -> None:
        """Take sightings that left the window out of their cluster."""
        for vector in vectors:
            self._change(self._rows[cluster_id], -vector, -1)
        if self._counts[self._rows[cluster_id]] == 0:
            self._drop(cluster_id)

    def centre(self, cluster_id: UUID) -> NDArray[np.float32]:
        """The cluster's centre, of unit length."""
        centre: NDArray[np.float32] = self._centres[self._rows[cluster_id]].copy()
        return centre

    def mean_similarity(self, cluster_id: UUID) -> float:
        """Mean cosine of the members to the centre: |S| / n, at most 1 up to rounding."""
        row = self._rows[cluster_id]
        return min(1.0, float(np.linalg.norm(self._sums[row])) / self._counts[row])

    def __contains__(self, cluster_id: UUID) -> bool:
        return cluster_id in self._rows

    def _append(self, cluster_id: UUID, total: NDArray[np.float32], count: int) -> None:
        row = len(self._ids)
        if row >= len(self._sums):
            # Doubling keeps the cost of growth constant per cluster.
            capacity = max(16, 2 * row)
            self._sums = _grown(self._sums, capacity, total.shape[0])
            self._centres = _grown(self._centres, capacity, total.shape[0])
        self._ids.append(cluster_id)
        self._rows[cluster_id] = row
        self._counts.append(count)
        self._sums[row] = total
        self._centres[row] = _unit(total)

    def _change(self, row: int, vector: NDArray[np.float32], count: int) -> None:
        self._sums[row] += vector
        self._counts[row] += count
        self._centres[row] = _unit(self._sums[row])

    def _drop(self, cluster_id: UUID) -> None:
        """Fill the gap with the last row, so that rows stay dense."""
        row, last = self._rows.pop(cluster_id), len(self._ids) - 1
        if row != last:
            self._ids[row] = self._ids[last]
            self._rows[self._ids[row]] = row
            self._counts[row] = self._counts[last]
            self._sums[row] = self._sums[last]
            self._centres[row] = self._centres[last]
        self._ids.pop()
        self._counts.pop()


def _grown(matrix: NDArray[np.float32], capacity: int, width: int) -> NDArray[np.float32]:
    grown = np.zeros((capacity, width), np.float32)
    if len(matrix):
        grown[: len(matrix)] = matrix
    return grown


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    norm = float(np.linalg.norm(vector))
    return vector / np.float32(norm) if norm > 0 else vector
