"""Whether two actions can be one: the part of a merge that cosine similarity cannot decide.

"Raise prices 10%" and "lower prices 10%" score 0.92 to 0.99 in every embedding model, so a merge
also asks that the actions agree in direction and in their numbers. When in doubt two
actions are kept apart: a second pattern costs little, a wrong merge poisons the evidence of both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Words by which an action takes away, lowers, ends or refrains. Whether one stands in an action must
# agree: "charge a late fee" and "scrap the late fee" meet on no other word. Nouns and idioms of the
# trade that merely look like them are removed first.
_HARMLESS = re.compile(
    r"\b(?:(?:hair|dry|wet|first|fresh|new)[- ]?cuts?|cuts? and \w+|a cut|late[- ]cancel\w*"
    r"|cancel\w* (?:fee|policy|list|window)|(?:drop|stop)(?:s|ped|ping)? (?:by|in)|drop-in"
    r"|drop(?:s|ped|ping)? (?:a|an|them|him|her) |(?:by the|week|month|year|day)[- ]?end|end of"
    r"|don't (?:miss|forget|worry|wait)|no (?:obligation|charge|strings)|not just|close to"
    r"|turn(?:ed|ing)? down|closed? (?:dates?|days?))"
)
_TAKING_AWAY = re.compile(
    r"\b(?:not|never|no longer|no more|don't|doesn't|without|instead of|refrain\w*"
    r"|stop(?:s|ped|ping)?|avoid(?:s|ed|ing)?|skip(?:s|ped|ping)?|ceas(?:e|es|ed|ing)"
    r"|cancel(?:s|led|ling)?|end(?:s|ed|ing)?|quit|halt(?:s|ed|ing)?|discontinu(?:e|es|ed|ing)"
    r"|lower(?:s|ed|ing)?|decreas(?:e|es|ed|ing)|reduc(?:e|es|ed|ing)|cut(?:s|ting)?"
    r"|drop(?:s|ped|ping)?|shorten(?:s|ed|ing)?|shorter|less|fewer|cheaper|down"
    r"|remov(?:e|es|ed|ing)|eliminat(?:e|es|ed|ing)|abolish(?:es|ed|ing)?|scrap(?:s|ped|ping)?"
    r"|withdraw(?:s|n|ing)?|take (?:away|off)|turn(?:s|ed|ing)? off|switch(?:es|ed|ing)? off"
    r"|do(?:es|ing)? away with|get(?:s|ting)? rid of|phase out|waiv(?:e|es|ed|ing)"
    r"|refus(?:e|es|ed|ing)|declin(?:e|es|ed|ing)|den(?:y|ies|ied)|downgrad(?:e|es|ed|ing))\b"
)
# Each axis is a pair of directions that are opposites without either taking away. An action that
# names one end is incompatible with an action that names only the other.
_AXES: tuple[tuple[str, str], ...] = (
    (r"before|ahead|earlier", r"after|afterwards|later"),
    (r"public(?:ly)?", r"private(?:ly)?"),
    (r"first[- ]time|new", r"existing|returning|loyal|long-standing"),
    (r"upfront|prepay\w*|prepaid", r"on the day|pay later"),
)
_SIDES = tuple(
    (re.compile(rf"\b(?:{one})\b"), re.compile(rf"\b(?:{other})\b")) for one, other in _AXES
)
# A quantity is a number and the word it counts: "20 %", "2 weeks", "60 minute".
_QUANTITY = re.compile(
    r"\b(\d{1,6}(?:\.\d{1,3})?)[\s-]{0,2}"
    r"(%|percent|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|points?|visits?|sessions?|stars?)"
)
_UNITS = {"percent": "%", "min": "minute", "hr": "hour"}


@dataclass(frozen=True, slots=True)
class Stance:
    """What an action says beyond its topic.

    `takes_away`: it lowers, ends or refrains. `directions`: for each axis 1, -1, or 0 where the
    action names neither end or both. `quantities`: (unit, number) pairs.
    """

    takes_away: bool
    directions: tuple[int, ...]
    quantities: frozenset[tuple[str, float]]


def stance(action: str) -> Stance:
    """Read the stance of an action, in any case."""
    text = action.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    directions = tuple(
        int(bool(one.search(text))) - int(bool(other.search(text))) for one, other in _SIDES
    )
    quantities = frozenset((_unit(match[2]), float(match[1])) for match in _QUANTITY.finditer(text))
    takes_away = bool(_TAKING_AWAY.search(_HARMLESS.sub(" ", text)))
    return Stance(takes_away, directions, quantities)


def compatible(one: str, other: str) -> bool:
    """Whether two actions may be merged: neither undoes the other, and quantities agree.

    An action that leaves a quantity out is compatible with any ("send a discount" with "send 20%
    off"); two that name the same unit must name the same number. Symmetric and reflexive.
    """
    left, right = stance(one), stance(other)
    if left.takes_away != right.takes_away:
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
