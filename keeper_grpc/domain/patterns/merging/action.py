"""Whether two actions can be one: the part of a merge that cosine similarity cannot decide.

"Raise prices 10%" and "lower prices 10%" score 0.92 to 0.99 in every embedding model, so a merge
also asks that the actions agree in direction and in their numbers. When in doubt two
actions are kept apart: a second pattern costs little, a wrong merge poisons the evidence of both.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from keeper_grpc.domain.patterns.merging.action_words import (
    AXES,
    DAYS,
    HARMLESS,
    INSTEAD,
    TAKING_AWAY,
    WITH,
    WITHOUT,
)
from keeper_grpc.domain.patterns.merging.lexicon import VERB, lexicon
from keeper_grpc.domain.patterns.merging.quantities import Quantity, agree, quantities
from keeper_grpc.domain.patterns.merging.spanish import in_english
from keeper_grpc.domain.patterns.merging.wording import REMEMBERED

_SIDES = tuple(tuple(re.compile(rf"\b(?:{side})\b") for side in axis) for axis in AXES)
_DAYS = tuple((re.compile(rf"\b{word}\b"), days) for word, days in DAYS)
# Typographic apostrophes and hyphens, as phones and word processors write them.
_TYPOGRAPHY = str.maketrans(
    {"\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{NON-BREAKING HYPHEN}": "-", "\N{EN DASH}": "-"}
)


@dataclass(frozen=True, slots=True)
class Stance:
    """What an action says beyond its topic.

    `takes_away`: it lowers, ends or refrains. `directions`: for each axis the directions that it
    names, maybe none. `quantities`: what `quantities.quantities` finds. `includes`, `leaves_out`: what
    it names after "with", after "without".
    """

    takes_away: bool
    directions: tuple[frozenset[str], ...]
    quantities: frozenset[Quantity]
    includes: frozenset[str]
    leaves_out: frozenset[str]


@functools.lru_cache(maxsize=REMEMBERED)
def stance(action: str) -> Stance:
    """Read the stance of an action, in any case."""
    text = " ".join(in_english(action).lower().translate(_TYPOGRAPHY).split())
    plain = " ".join(HARMLESS.sub(" ", text).split())
    directions = [frozenset(side.pattern for side in axis if side.search(plain)) for axis in _SIDES]
    days = frozenset[str]().union(*(days for word, days in _DAYS if word.search(text)))
    given_up = frozenset(match[1] for match in INSTEAD.finditer(plain))
    leaves_out = frozenset(match[1] for match in WITHOUT.finditer(text))
    return Stance(
        takes_away=bool(TAKING_AWAY.search(plain)),
        directions=(*directions, days, given_up),
        quantities=quantities(text),
        includes=frozenset(match[1] for match in WITH.finditer(text)) - leaves_out,
        leaves_out=leaves_out,
    )


def compatible(one: str, other: str) -> bool:
    """Whether two actions may be merged: neither undoes the other, and quantities agree.

    An action that leaves a direction or a quantity out is compatible with any ("send a discount"
    with "send 20% off"); two that name the same unit must name the same number. Symmetric and
    reflexive.
    """
    return stances_agree(stance(one), stance(other))


def stances_agree(left: Stance, right: Stance) -> bool:
    """`compatible`, of what was read already."""
    return (
        left.takes_away == right.takes_away
        and all(
            not here or not there or here & there
            for here, there in zip(left.directions, right.directions, strict=True)
        )
        and not left.includes & right.leaves_out
        and not left.leaves_out & right.includes
        and agree(left.quantities, right.quantities)
    )


_MASK = re.compile(r"\[(?P<kind>[a-z]+)[a-z0-9_]*\]")
_CONTENT = re.compile(r"[^\W_]{3,}")
_EMPTY = frozenset(
    {"the", "and", "for", "with", "from", "about", "your", "our", "their", "all", "off"}
)


def says_enough(action: str) -> bool:
    """Whether so much of an action was left by the anonymizer that an equal one means the same.

    "Offer the [other] soak" is said of every product that nobody knows: such texts are equal in any
    embedding model and mean different things. An unknown word counts as much as two known ones, a
    person as one: "call [person]" is one action, whoever is called. What is done must be left: of another language the
    anonymizer leaves the words that look English, "[person] gratis", whatever was to be done.
    """
    masked = [match["kind"] for match in _MASK.finditer(action)]
    if not masked:
        return True
    unknown = masked.count("other")
    persons = masked.count("person")
    content = [
        word for word in _CONTENT.findall(_MASK.sub(" ", action.lower())) if word not in _EMPTY
    ]
    acts = not (unknown or persons) or any(VERB in lexicon().read(word).marks for word in content)
    return acts and len(content) > 2 * unknown and len(content) >= persons
