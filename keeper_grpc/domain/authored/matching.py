"""Whether an authored pattern is about a question: by its trigger, its conditions or its words.

The trigger decides where the question states its facts: what does not hold is not offered, however similar the
words are. Where facts are missing, the conditions are compared: those that agree speak for the pattern, and one that
contradicts speaks against it for good. Words alone decide where neither says anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from keeper_grpc.domain.authored.triggers import KnownFacts, Trigger
from keeper_grpc.domain.insight import JsonValue


class MatchedBy(Enum):
    """Why an authored pattern is about a question."""

    TRIGGER = "trigger"
    """Its trigger holds for what the question states."""
    CONDITIONS = "conditions"
    """Conditions of the question agree with the author's, and none contradicts."""
    WORDS = "words"
    """Its sentence is similar to the question's."""


@dataclass(frozen=True, slots=True)
class Match:
    """A match, by how much of what the author asks for the question states: `strength` is in (0, 1]."""

    by: MatchedBy
    strength: float
    agreed: tuple[str, ...] = ()


WORDS_ALONE = 0.1
"""The strength of similar words: less than that of any condition that agrees."""


def match(
    trigger: Trigger,
    authored: Mapping[str, JsonValue],
    facts: KnownFacts,
    asked: Mapping[str, JsonValue],
    *,
    similar: bool,
) -> Match | None:
    """Whether the pattern with this trigger and the conditions `authored` is about what is `asked`; None if not."""
    verdict = trigger.verdict(facts)
    if verdict is not None:
        return Match(MatchedBy.TRIGGER, 1.0) if verdict else None
    compared = {key: agree(value, asked[key]) for key, value in authored.items() if key in asked}
    if False in compared.values():
        return None
    agreed = tuple(sorted(key for key, same in compared.items() if same))
    if agreed:
        return Match(MatchedBy.CONDITIONS, len(agreed) / len(authored), agreed)
    return Match(MatchedBy.WORDS, WORDS_ALONE) if similar else None


def agree(authored: JsonValue, asked: JsonValue) -> bool | None:
    """Whether two values of a condition say the same; None where they cannot be compared.

    A number and an author's phrase ("over twice the usual") cannot: that is what triggers are for.
    """
    if isinstance(authored, bool) or isinstance(asked, bool):
        both = isinstance(authored, bool) and isinstance(asked, bool)
        return authored == asked if both else None
    if _numeric(authored) or _numeric(asked):
        both = _numeric(authored) and _numeric(asked)
        return str(authored) == str(asked) or authored == asked if both else None
    if isinstance(authored, str) and isinstance(asked, str):
        return _say_the_same(_words(authored), _words(asked))
    return None


def _numeric(value: JsonValue) -> bool:
    """Whether it is a number, or the band of one, as the anonymizer writes it."""
    return isinstance(value, int | float) or (
        isinstance(value, str) and _BAND.fullmatch(value.strip()) is not None
    )


_BAND = re.compile(r"\d[\d.,]*(\s*-\s*\d[\d.,]*|\+)?")
_WORD = re.compile(r"[^\W_]+")

_MORE = frozenset(
    [
        "above",
        "busy",
        "exceeds",
        "full",
        "fully",
        "greater",
        "growing",
        "high",
        "higher",
        "increasing",
        "least",
        "more",
        "over",
        "rising",
    ]
)
_LESS = frozenset(
    [
        "below",
        "declining",
        "decreasing",
        "empty",
        "falling",
        "fewer",
        "less",
        "low",
        "lower",
        "most",
        "quiet",
        "smaller",
        "under",
    ]
)
_NOT = frozenset(["no", "none", "not", "never", "without"])


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))


def _say_the_same(authored: frozenset[str], asked: frozenset[str]) -> bool | None:
    """By their words: half of the shorter text in common, and no number, direction or denial of one alone."""
    if authored == asked:
        return True
    if not authored or not asked or _opposed(authored, asked):
        return None if not authored or not asked else False
    shorter = min(len(authored), len(asked))
    if 2 * len(authored & asked) >= shorter + (shorter > 1):
        return True
    # Single words are the values of one list: "high" is not "medium". Phrases may put one thing in two ways.
    return False if shorter == 1 else None


def _opposed(one: frozenset[str], other: frozenset[str]) -> bool:
    return (
        bool(one & _MORE and other & _LESS)
        or bool(one & _LESS and other & _MORE)
        or bool(one & _NOT) != bool(other & _NOT)
        or {word for word in one if word.isdigit()} != {word for word in other if word.isdigit()}
    )
