"""What several accounts have begun to see: clusters of recent sightings, and their life.

How sightings become clusters is in clusters.py, reclustering.py and tally.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.emerging.tally import Fact


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
    """A cluster of recent sightings, as subscribers see it: in figures that are coarse (description.py).

    `business_categories` are those of enough accounts, perhaps none. `common_pattern` and `label` are its
    words (wording.py), empty while the cluster is not shown, the label also in events that are older than
    it. `growth_rate` in [-1, 1] is the last day against the days before (Tally.growth_rate).
    `novelty` in [0, 1] is one less the cosine to the nearest known pattern of the type, published or
    not: 1 when there is none.
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
    growth_rate: float = 0.0
    novelty: float = 1.0
    label: str = ""


Family: TypeAlias = tuple[str, str]
"""(embedding model, pattern type): sightings of different families never meet."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A sighting as the detector needs it. `cluster_id` is set when it was only renewed."""

    sighting_id: int
    family: Family
    vector: NDArray[np.float32]
    cluster_id: UUID | None
    fact: Fact


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A sighting to restore into its cluster."""

    sighting_id: int
    cluster_id: UUID
    fact: Fact


@dataclass(frozen=True, slots=True)
class Window:
    """The members of one family's clusters at one moment, oldest first, for the full pass.

    `vectors` is of shape (members, width).
    """

    family: Family
    sighting_ids: NDArray[np.int64]
    cluster_ids: list[UUID]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reassignment:
    """A sighting that the full pass wants in another cluster."""

    sighting_id: int
    family: Family
    vector: NDArray[np.float32]
    source: UUID
    target: UUID


@dataclass(frozen=True, slots=True)
class StoredCluster:
    """A cluster to restore: the sum of `count` vectors; None when it was never summed."""

    cluster_id: UUID
    family: Family
    vector_sum: NDArray[np.float32] | None
    count: int


@dataclass(frozen=True, slots=True)
class SavedCluster:
    """What is stored of a cluster: as it was last saved, and as subscribers were last told of it.

    `told` is None when they do not see it now.
    """

    state: State
    cluster: EmergingPattern
    told: EmergingPattern | None


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """What a step decided about one cluster.

    `cluster` is None when it has no sightings left; `last_told` is as in SavedCluster.
    """

    cluster_id: UUID
    cluster: EmergingPattern | None
    last_told: EmergingPattern | None
    state: State
    change: Change | None

    @property
    def told(self) -> EmergingPattern | None:
        """The description that goes with the change.

        One that faded is told as it was last told: what is left of it may be of fewer accounts than
        may be shown, and any difference from the last message would be what a single account added.
        """
        return self.last_told if self.change is Change.FADED else self.cluster


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
    was promoted stays so while there is the pattern: subscribers have it by then. Without it, the cluster
    is as if it had never been shown.
    """
    if cluster is None:
        return State.FORMING, Change.FADED if before is State.EMERGING else None
    if before is State.PROMOTED and cluster.promoted_pattern_id is not None:
        return State.PROMOTED, None
    if not emergence.shows(cluster):
        return State.FORMING, Change.FADED if before is State.EMERGING else None
    if cluster.promoted_pattern_id is not None:
        return State.PROMOTED, Change.PROMOTED if before is State.EMERGING else None
    return State.EMERGING, Change.UPDATED if before is State.EMERGING else Change.NEW


@dataclass(frozen=True, slots=True)
class Place:
    """A place in history: after the event of this number, or before the first one, at 0.

    `tag` is the event's own for ever. A restored database gives the numbers of the events that it lost
    to others, which have other tags.
    """

    sequence: int
    tag: UUID


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One change, and the place in history after it. `cluster` is as in ClusterChange.told."""

    place: Place
    change: Change
    cluster: EmergingPattern


@dataclass(frozen=True, slots=True)
class FeedHistory:
    """Which history of events it is, and how far it has come.

    `epoch` tells histories of different databases apart.
    """

    epoch: UUID
    place: Place


@dataclass(frozen=True, slots=True)
class FeedFilter:
    """What a subscriber wants to see. Empty and zero mean any."""

    pattern_type: str = ""
    business_category: str = ""
    min_accounts: int = 0
    min_similarity: float = 0.0
    min_total_potential_value: float = 0.0
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
            and (
                not self.min_total_potential_value
                or cluster.total_potential_value >= self.min_total_potential_value
            )
            and (self.window is None or cluster.last_seen_time >= now - self.window)
        )


RENEWAL = timedelta(minutes=1)
"""An account that asks the same again sooner than this is not news."""


def worth_telling(told: EmergingPattern | None, now: EmergingPattern) -> bool:
    """Whether a cluster differs from what was last told of it in a way that a subscriber would want to
    know.

    Growth and novelty alone are no news: they drift with the clock and with other patterns, and are
    told with the next change.
    """
    return told is None or told != replace(now, growth_rate=told.growth_rate, novelty=told.novelty)
