"""A pattern in words that may be shown to everyone: its action and its conditions.

The words of what accounts captured, by the rule of domain/evidence/words.py. They are the same for every
reader, because a pattern can be read by anyone. Who follows advice repeats its words and adds none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from keeper_grpc.domain.evidence.words import (
    FUNCTION_WORDS,
    legibility,
    masked,
    shared_words,
    words_of,
)
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.merging.action import stance
from keeper_grpc.domain.patterns.screen import objection_to_action
from keeper_grpc.domain.patterns.situation import read_fact


@dataclass(frozen=True, slots=True)
class Wording:
    """One anonymized action, and the keys of the owners who captured it in these words."""

    action: str
    owners: frozenset[str]


def shown_action(wordings: Sequence[Wording], k: int) -> str:
    """The action as most owners word it, less the words that fewer than `k` of them used.

    One that the screen stops is not taken. A sentence that k owners share goes before others, by their number; then the one of which most can be
    shown. Empty where what is left would say too little, or the opposite. The same for the same wordings, in
    any order.
    """
    shared = shared_words(
        ((owner, wording.action) for wording in wordings for owner in wording.owners), k
    ).keys()
    ranked = sorted(
        wordings,
        key=lambda each: (
            -len(each.owners) if len(each.owners) >= k else 0,
            -legibility(each.action, shared),
            -len(each.owners),
            each.action,
        ),
    )
    texts = ((wording.action, masked(wording.action, shared)) for wording in ranked)
    return next(
        (
            shown
            for said, shown in texts
            if _still_says(said, shown, shared) and objection_to_action(shown) is None
        ),
        "",
    )


def shown_conditions(owners: Mapping[str, int], k: int) -> Mapping[str, JsonValue]:
    """The conditions that at least `k` owners sent, from the owners of each single fact.

    Of several values of one key the one that most owners sent, of equal ones the one that sorts first. One
    that the screen stops is not taken.
    """
    shown: dict[str, JsonValue] = {}
    for fact in sorted(owners, key=lambda fact: (-owners[fact], fact)):
        if owners[fact] >= k and (read := read_fact(fact)) is not None:
            key, value = read
            if may_be_shown(key, value):
                shown.setdefault(key, value)
    return shown


def may_be_shown(key: str, value: JsonValue) -> bool:
    """Whether the screen lets this condition pass."""
    return objection_to_action(f"{key.replace('_', ' ')}: {value}") is None


def _still_says(said: str, shown: str, shared: AbstractSet[str]) -> bool:
    """Whether a masked action says something, and nothing else than it did."""
    words = words_of(said)
    known = [word for word in words if word in shared]
    if 2 * len(known) <= len(words) or FUNCTION_WORDS.issuperset(known):
        return False
    before, after = stance(said), stance(shown)
    return (before.takes_away, before.directions) == (after.takes_away, after.directions)
