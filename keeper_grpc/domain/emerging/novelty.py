"""What the detector asks of the patterns that the network knows already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

Key = TypeVar("Key")

NOBODY = UUID(int=0)
"""Before every pattern's id."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known near a cluster's centre: the cosine distance to the nearest pattern of its type, None
    when there is none, and the nearest one that proves it, if any does.
    """

    distance: float | None = None
    proven_pattern_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the changes of patterns have been looked at, by the transactions that made them.

    Up to `after`, a transaction and a pattern within it. They are looked at in rounds: one ends before
    the transaction `until`, and the next begins at `following`, the oldest that had not ended when the
    round began. Both are None between rounds.
    """

    after: tuple[int, UUID]
    until: int | None = None
    following: int | None = None

    @classmethod
    def before(cls, transaction: int) -> Progress:
        """Between rounds: this transaction and all later ones are still to be looked at."""
        return cls((transaction, NOBODY))

    @property
    def in_progress(self) -> bool:
        """Whether a round is under way."""
        return self.until is not None


def portions(costs: Mapping[Key, int], most: int) -> Iterator[list[Key]]:
    """The keys in order, in portions that cost at most so much each, or are of one key."""
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
