"""Whether two actions can be one: the part of a merge that cosine similarity cannot decide.

"Raise prices 10%" and "lower prices 10%" score 0.92 to 0.99 in every embedding model, so a merge
also asks that the actions agree in direction, in negation and in their numbers. When in doubt two
actions are kept apart: a second pattern costs little, a wrong merge poisons the evidence of both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Each axis is a pair of word stems that turn an action into its opposite. An action that names one
# end is incompatible with an action that names only the other.
_AXES: tuple[tuple[str, str], ...] = (
    (
        r"rais(?:e|ed|es|ing)|increas(?:e|es|ed|ing)|hik(?:e|ed|ing)|higher|up(?:ping)?",
        r"lower(?:ed|ing|s)?|decreas(?:e|es|ed|ing)|reduc(?:e|es|ed|ing)|cut(?:s|ting)?|drop(?:ped|ping|s)?|down",
    ),
    (r"more|extra|additional", r"less|fewer"),
    (r"add(?:s|ed|ing)?|introduc(?:e|es|ed|ing)", r"remov(?:e|es|ed|ing)|eliminat(?:e|es|ed|ing)"),
    (r"longer|lengthen(?:ed|ing)?|extend(?:ed|ing|s)?", r"shorter|shorten(?:ed|ing|s)?"),
    (r"earlier|before|ahead", r"later|after|afterwards"),
    (r"open(?:ed|ing|s)?", r"clos(?:e|es|ed|ing)"),
    (r"upgrad(?:e|es|ed|ing)", r"downgrad(?:e|es|ed|ing)"),
    (r"public(?:ly)?", r"private(?:ly)?"),
    (r"first[- ]time|new", r"existing|returning|loyal|long-standing"),
    (r"hir(?:e|ed|ing)", r"fir(?:e|ed|ing)|dismiss(?:ed|ing)?"),
    (r"accept(?:ed|ing|s)?|approv(?:e|es|ed|ing)", r"declin(?:e|es|ed|ing)|refus(?:e|es|ed|ing)"),
    (r"automat(?:ed|ic|ically)", r"personal(?:ly)?|handwritten"),
)
_SIDES = tuple(
    (re.compile(rf"\b(?:{one})\b"), re.compile(rf"\b(?:{other})\b")) for one, other in _AXES
)
_NEGATION = re.compile(
    r"\b(?:not|never|no longer|don't|do not|doesn't|stop(?:ped|ping|s)?|avoid(?:ed|ing|s)?|without"
    r"|skip(?:ped|ping|s)?|ceas(?:e|ed|ing)|cancel(?:led|ling|s)?|instead of|refrain)\b"
)
# A quantity is a number and the word it counts: "20 %", "2 weeks", "60 minute".
_QUANTITY = re.compile(
    r"\b(\d{1,6}(?:\.\d{1,3})?)[\s-]{0,2}"
    r"(%|percent|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|points?|visits?|sessions?|stars?)"
)
_UNITS = {"percent": "%", "min": "minute", "hr": "hour"}


@dataclass(frozen=True, slots=True)
class Stance:
    """What an action says beyond its topic: directions taken, negation, quantities by unit."""

    directions: tuple[int, ...]
    negated: bool
    quantities: frozenset[tuple[str, float]]


def stance(action: str) -> Stance:
    """Read the stance of an action. For each axis: 1, -1, or 0 where it names neither or both."""
    text = action.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    directions = tuple(bool(one.search(text)) - bool(other.search(text)) for one, other in _SIDES)
    quantities = frozenset((_unit(match[2]), float(match[1])) for match in _QUANTITY.finditer(text))
    return Stance(directions, bool(_NEGATION.search(text)), quantities)


def compatible(one: str, other: str) -> bool:
    """Whether two actions may be merged: no opposite direction, equal negation, equal quantities.

    An action that leaves a quantity out is compatible with any ("send a discount" with "send 20%
    off"); two that name the same unit must name the same number. Symmetric and reflexive.
    """
    left, right = stance(one), stance(other)
    if left.negated != right.negated:
        return False
    if any(a * b < 0 for a, b in zip(left.directions, right.directions, strict=True)):
        return False
    units = {unit for unit, _ in left.quantities} & {unit for unit, _ in right.quantities}
    return all(
        {q for q in left.quantities if q[0] == unit}
        == {q for q in right.quantities if q[0] == unit}
        for unit in units
    )


def _unit(word: str) -> str:
    singular = word.removesuffix("s") if word != "%" else word
    return _UNITS.get(singular, singular)
