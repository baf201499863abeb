"""The detector's view of known patterns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

Key = TypeVar("Key")

LEAST_ID = UUID(int=0)
"""Sorts before every pattern's id."""


@dataclass(frozen=True, slots=True)
class Known:
    """The known patterns near a cluster's centre: the cosine distance to the nearest pattern of its type
    (None without one), the nearest pattern that proves the cluster, if any, and the nearest one that would
    if it did not fade.
    """

    distance: float | None = None
    proven_pattern_id: UUID | None = None
    fading_pattern_id: UUID | None = None


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
