"""Emerging patterns: clusters of recent sightings, their states and the changes between them.

clusters.py, reclustering.py and tally.py make clusters of sightings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.emerging.tally import Fact


class Change(Enum):
    """A change of an emerging pattern."""

    NEW = "new"
    UPDATED = "updated"
    PROMOTED = "promoted"
    FADED = "faded"


class State(Enum):
    """The state of a cluster. A FORMING one has too few accounts to be published."""

    FORMING = "forming"
    EMERGING = "emerging"
    PROMOTED = "promoted"


@dataclass(frozen=True, slots=True)
class EmergingPattern:
    """A cluster of recent sightings as subscribers see it, in rounded figures (figures.py).

    `business_categories` are those of at least k accounts, possibly none. `common_pattern` and `label`
    are its words, empty while the cluster is not published; old events have no label.
    `growth_rate` in [-1, 1] compares the last day with the days before (Tally.growth_rate). `novelty`
    in [0, 1] is 0 for what is known and 1 for something else altogether (novelty.py). `fading_pattern_id` is a published pattern that says the same and has stopped working.
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
    fading_pattern_id: UUID | None = None


def discoveries_first(cluster: EmergingPattern) -> tuple[float, timedelta, UUID]:
    """The order of a snapshot: by novelty in tenths, and of what is as new the latest first."""
    ago = datetime.max.replace(tzinfo=UTC) - cluster.last_seen_time
    return -round(cluster.novelty, 1), ago, cluster.emerging_pattern_id


Family: TypeAlias = tuple[str, str]
"""(embedding model, pattern type): sightings of different families never meet."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A sighting as the detector needs it. `cluster_id` is set for a renewal."""

    sighting_id: int
    family: Family
    vector: NDArray[np.float32]
    cluster_id: UUID | None
    fact: Fact


@dataclass(frozen=True, slots=True)
class StoredMember:
    """A stored sighting that is restored into its cluster."""

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
    """A sighting that the full pass moves to another cluster."""

    sighting_id: int
    family: Family
    vector: NDArray[np.float32]
    source: UUID
    target: UUID


@dataclass(frozen=True, slots=True)
class StoredCluster:
    """A cluster to restore: the sum of `count` vectors, or None if none was stored."""

    cluster_id: UUID
    family: Family
    vector_sum: NDArray[np.float32] | None
    count: int


@dataclass(frozen=True, slots=True)
class SavedCluster:
    """A stored cluster: its last saved state, and the state last sent to subscribers.

    `told` is None when subscribers do not see it now.
    """

    state: State
    cluster: EmergingPattern
    told: EmergingPattern | None


@dataclass(frozen=True, slots=True)
class ClusterChange:
    """A step's decision about one cluster.

    `cluster` is None when it has no sightings left; `last_told` is `SavedCluster.told`.
    """

    cluster_id: UUID
    cluster: EmergingPattern | None
    last_told: EmergingPattern | None
    state: State
    change: Change | None

    @property
    def told(self) -> EmergingPattern | None:
        """The cluster as it is sent with the change.

        A faded cluster is sent in its last sent state: the rest of it may rest on fewer than k
        accounts, and a difference from the last message would show one account's contribution.
        """
        return self.last_told if self.change is Change.FADED else self.cluster


@dataclass(frozen=True, slots=True)
class Proven:
    """When a known pattern proves a cluster: near enough, published (of `k` accounts), with a high lower bound,
    and not fading.
    """

    min_similarity: float
    min_lower_bound: float
    k: int


@dataclass(frozen=True, slots=True)
class Emergence:
    """When a cluster is an emerging pattern: enough accounts, and a high enough mean similarity."""

    min_accounts: int
    min_similarity: float

    def shows(self, cluster: EmergingPattern) -> bool:
        """Whether the cluster is published."""
        return (
            cluster.account_count >= self.min_accounts
            and cluster.mean_similarity >= self.min_similarity
        )


def transition(
    before: State, cluster: EmergingPattern | None, emergence: Emergence
) -> tuple[State, Change | None]:
    """The next state of a changed cluster, and the change that is sent to subscribers, if any.

    `cluster` is None when its last sighting left the window; its `promoted_pattern_id` is set when a
    proven pattern says the same. A cluster that was never shown is promoted silently. A promoted one
    stays promoted while its pattern is published and does not fade, because subscribers can read the
    pattern then; without the pattern it is treated as if it had never been shown.
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
    """A position in history: after the event with this number, or 0 before the first one.

    `tag` is unique to the event. A restored database reuses the numbers of lost events for new ones,
    which have other tags.
    """

    sequence: int
    tag: UUID


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One change, and the position in history after it. `cluster` is as in ClusterChange.told."""

    place: Place
    change: Change
    cluster: EmergingPattern


@dataclass(frozen=True, slots=True)
class FeedHistory:
    """The identity of a history of events, and its end.

    `epoch` distinguishes the histories of different databases.
    """

    epoch: UUID
    place: Place


@dataclass(frozen=True, slots=True)
class FeedFilter:
    """A subscriber's filter. Empty and zero match everything."""

    pattern_type: str = ""
    business_category: str = ""
    min_accounts: int = 0
    min_similarity: float = 0.0
    min_total_potential_value: float = 0.0
    window: timedelta | None = None

    def matches(self, cluster: EmergingPattern, now: datetime) -> bool:
        """Whether the cluster matches. The window is evaluated at `now`."""
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
"""A renewal within this time of the last one is not an event."""


def worth_sending(last: EmergingPattern | None, now: EmergingPattern) -> bool:
    """Whether a cluster differs from its last sent state enough for an UPDATED event.

    Growth and novelty alone do not count: they drift with the clock and with other patterns, and are
    sent with the next change.
    """
    return last is None or last != replace(now, growth_rate=last.growth_rate, novelty=last.novelty)
