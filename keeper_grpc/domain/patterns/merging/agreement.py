"""How far two actions agree in their words, which decides how similar a model must find them."""

from __future__ import annotations

import functools
from enum import Enum
from typing import Final

from keeper_grpc.domain.patterns.merging.action import stance, stances_agree
from keeper_grpc.domain.patterns.merging.wording import REMEMBERED, compare


class Agreement(Enum):
    """From none at all, by which two actions are never one, to the same words."""

    APART = "they undo each other, or something stands in the place of something else"
    UNLIKE = "each names things that the other does not, and they share a word at most"
    PLAIN = "nothing speaks for or against it"
    SHARED = "they share words of meaning"
    TERSE = "one is a note, and all that it says is in the other"


SHARED_WORDS: Final = 2
"""Words of meaning by which two actions count as sharing them. One is the topic of their type."""


@functools.lru_cache(maxsize=REMEMBERED)
def agreement(one: str, other: str) -> Agreement:
    """How far the words of two actions agree. Symmetric; equal actions are never APART."""
    left, right = stance(one), stance(other)
    if not stances_agree(left, right):
        return Agreement.APART
    words = compare(one, other)
    if words.opposed or words.substituted:
        return Agreement.APART
    here, there = left.quantities, right.quantities
    if (words.terse_left and here <= there) or (words.terse_right and there <= here):
        return Agreement.TERSE
    if words.unlike and not here & there:
        return Agreement.UNLIKE
    # "A trial for one week" and "10% off the trial" measure different things.
    measure_apart = here and there and not {unit for unit, _ in here} & {unit for unit, _ in there}
    if words.shared >= SHARED_WORDS and not measure_apart and not words.other_people:
        return Agreement.SHARED
    return Agreement.PLAIN
