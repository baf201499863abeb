"""The detector's view of known patterns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import numpy as np

from keeper_grpc.domain.patterns.merging.similarity import Thresholds

Key = TypeVar("Key")

LEAST_ID = UUID(int=0)
"""Sorts before every pattern's id."""


@dataclass(frozen=True, slots=True)
class Known:
    """The known patterns near a cluster's centre: the cosine distance to the nearest pattern of its type
    (None without one), that of its actions to the most similar action of the nearest ones (None where either has
    none), the nearest pattern that proves the cluster, if any, and the nearest one that would if it did not fade.
    """

    distance: float | None = None
    action_distance: float | None = None
    proven_pattern_id: UUID | None = None
    fading_pattern_id: UUID | None = None


ROUTINE, DISCOVERY = 1 / 3, 2 / 3
"""Novelty below which a cluster is what is known already, and above which it is something else altogether. In
between it is a variation."""


@dataclass(frozen=True, slots=True)
class NoveltyScale:
    """What cosines of an embedding model say about novelty. Models differ in scale, so each has its own.

    action_routine, action_variation: cosines of actions at ROUTINE and at DISCOVERY.
    sentence_same, sentence_other: cosines of sentences that say the same, and of those that have nothing in common, for
    clusters of questions without an action.
    """

    action_routine: float
    action_variation: float
    sentence_same: float
    sentence_other: float

    @classmethod
    def of(cls, thresholds: Thresholds) -> NoveltyScale:
        """The scale of the model with these thresholds."""
        routine, variation = thresholds.action_routine, thresholds.action_variation
        return cls(
            thresholds.action if routine is None else routine,
            thresholds.retrieval if variation is None else variation,
            thresholds.merge,
            thresholds.retrieval,
        )

    def novelty(self, known: Known) -> float:
        """The novelty of a cluster in [0, 1]: 0 when its actions are those of a known pattern to the word, ROUTINE and
        DISCOVERY at the model's two cosines, linear in between. Of a cluster without actions its sentences decide.
        1 when there is no pattern.

        The action decides, as it does when patterns merge: a new action for a known situation is new, although most of
        its sentence is not.
        """
        if known.distance is None:
            return 1.0
        if known.action_distance is None:
            low, high = self.sentence_other, self.sentence_same
            return float(np.interp(1 - known.distance, [low, max(high, low + _STEP)], [1.0, 0.0]))
        return float(
            np.interp(
                1 - known.action_distance,
                [0.0, self.action_variation, self.action_routine, 1.0],
                [1.0, DISCOVERY, ROUTINE, 0.0],
            )
        )


_STEP = 1e-6


@dataclass(frozen=True, slots=True)
class Progress:
    """The detector's progress through changed patterns, in the order of the changing transactions.

    All changes up to `after` (a transaction and a pattern within it) are processed. Processing goes in
    rounds: a round ends before the transaction `until`, and the next one begins at `following`, the
    oldest transaction still open when the round began. Both are None between rounds.
    """

    after: tuple[int, UUID]
    until: int | None = None
    following: int | None = None

    @classmethod
    def before(cls, transaction: int) -> Progress:
        """The progress between rounds: this transaction and all later ones are unprocessed."""
        return cls((transaction, LEAST_ID))

    @property
    def in_progress(self) -> bool:
        """Whether a round is in progress."""
        return self.until is not None


def portions(costs: Mapping[Key, int], most: int) -> Iterator[list[Key]]:
    """The keys in order, in portions of at most this cost, or of a single key."""
    portion: list[Key] = []
    spent = 0
    for key, cost in costs.items():
        if portion and spent + cost > most:
            yield portion
            portion, spent = [], 0
        portion.append(key)
        spent += cost
    if portion:
        yield portion
