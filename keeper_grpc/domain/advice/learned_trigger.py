"""Triggers that were learned from outcomes: conditions under which an action works more often than otherwise.

A condition is about one key of a situation as the network stores it, in bands. So thresholds are those of the bands, the
same for everybody, and none is a value of somebody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from keeper_grpc.domain.authored.triggers import VOCABULARY
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.pattern import PatternKey

_BAND = re.compile(r"(?P<low>\d+(?:\.\d+)?)(?:-(?P<high>\d+(?:\.\d+)?)|(?P<open>\+))?")

_FACTS: Mapping[str, str] = {
    key: name
    for name in sorted(VOCABULARY, reverse=True)
    for key in (name.rpartition(".")[2], name.replace(".", "_"))
}
"""The facts of authored triggers, by the key with which a situation states them."""


class Relation(Enum):
    """How a condition compares."""

    IS = "=="
    AT_LEAST = ">="
    AT_MOST = "<="


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """One condition of a trigger: of a text or a flag, IS; of a figure, the least or the most of its band."""

    key: str
    relation: str
    value: str | float | bool

    def __str__(self) -> str:
        """The condition as an expression of CEL over the facts."""
        match self.value:
            case bool():
                value = "true" if self.value else "false"
            case str():
                value = "'" + self.value.replace("\\", "\\\\").replace("'", "\\'") + "'"
            case _:
                value = f"{self.value:g}"
        return f"{_FACTS.get(self.key, self.key)} {self.relation} {value}"


def conditions_met(situation: Mapping[str, JsonValue]) -> frozenset[Condition]:
    """Every condition that a situation says of itself: its texts and flags, and of each figure its own band's ends.

    Which other thresholds it reaches, `meets` says.
    """
    met: set[Condition] = set()
    for key, value in situation.items():
        band = band_of(value)
        if band is not None:
            low, high = band
            met.add(Condition(key, Relation.AT_LEAST.value, low))
            if high is not None:
                met.add(Condition(key, Relation.AT_MOST.value, high))
        elif isinstance(value, str | bool):
            met.add(Condition(key, Relation.IS.value, value))
    return frozenset(met)


def meets(situation: Mapping[str, JsonValue], condition: Condition) -> bool:
    """Whether the condition holds of the whole band of a situation's figure, or of its text or flag."""
    if condition.key not in situation:
        return False
    value = situation[condition.key]
    band = band_of(value)
    match condition.relation:
        case Relation.AT_LEAST.value:
            return band is not None and band[0] >= float(condition.value)
        case Relation.AT_MOST.value:
            return band is not None and band[1] is not None and band[1] <= float(condition.value)
        case _:
            return band is None and value == condition.value


def band_of(value: JsonValue) -> tuple[float, float | None] | None:
    """The ends of a band, "31-60" or "181+", or of a figure that is shared as it is; None of anything else."""
    match value:
        case bool():
            return None
        case int() | float():
            return float(value), float(value)
        case str() if found := _BAND.fullmatch(value):
            low = float(found["low"])
            if found["open"]:
                return low, None
            return low, float(found["high"] or low)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class TriggerFigures:
    """What became of the action, in half of the owners: the half in which the trigger was not looked for.

    precision: the share of successes where the conditions hold, with its 90% interval: `low` is exceeded with 95%
    certainty. lift: precision over the rate where they do not hold. trials and owners: where they hold, owners weighed
    as in all evidence. lead_time: from the question to the outcome, median; None where too few say.
    """

    precision: float
    low: float
    high: float
    lift: float
    trials: int
    owners: int
    lead_time: timedelta | None = None


@dataclass(frozen=True, slots=True)
class LearnedTrigger:
    """Conditions under which a pattern's action works more often than otherwise."""

    key: PatternKey
    conditions: tuple[Condition, ...]
    figures: TriggerFigures

    @property
    def text(self) -> str:
        """The conditions as an expression of CEL."""
        return " && ".join(map(str, self.conditions))

    def holds(self, situation: Mapping[str, JsonValue]) -> bool:
        """Whether all conditions hold of an anonymized situation."""
        return all(meets(situation, condition) for condition in self.conditions)

    def sentence(self) -> str:
        """What stands behind it, for people."""
        figures = self.figures
        return (
            f"learned: where {self.text}, {figures.precision:.0%} succeed ({figures.low:.0%} to {figures.high:.0%},"
            f" {figures.trials} cases of {figures.owners} accounts), {figures.lift:.1f} times as often as otherwise"
        )


def best_of_each(triggers: Iterable[LearnedTrigger]) -> Mapping[PatternKey, LearnedTrigger]:
    """Of each pattern the trigger that surely reaches most."""
    best: dict[PatternKey, LearnedTrigger] = {}
    for each in sorted(triggers, key=lambda trigger: (trigger.figures.low, trigger.text)):
        best[each.key] = each
    return best
