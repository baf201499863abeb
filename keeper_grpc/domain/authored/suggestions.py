"""Moves: patterns whose trigger holds now, authored or learned, the most promising first, each with its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from keeper_grpc.domain.advice.learned_trigger import LearnedTrigger
from keeper_grpc.domain.advice.ranking import Candidate, Requirements, hurdle, track_record
from keeper_grpc.domain.authored.triggers import FactValue, KnownFacts, Trigger
from keeper_grpc.domain.evidence.expectation import Basis
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey, Scope

LONGEST_FACT = 40
"""Characters of a text fact that an explanation repeats."""

LARGEST_PLAIN_NUMBER = 1e15
"""Whole numbers below it are written out: a double holds each of them exactly."""


@dataclass(frozen=True, slots=True)
class StoredTrigger:
    """A pattern's stored trigger. Another release may have written it, with facts that this one lacks."""

    scope: Scope
    pattern_id: UUID
    text: str

    @property
    def key(self) -> PatternKey:
        """The pattern's key."""
        return PatternKey(self.scope.scope_id, self.pattern_id)


@dataclass(frozen=True, slots=True)
class Triggered:
    """A pattern in the situation of the facts, without the asking account's own evidence, and what holds: its
    author's trigger, one that was learned, or both.
    """

    candidate: Candidate
    trigger: Trigger | None
    learned: LearnedTrigger | None = None


@dataclass(frozen=True, slots=True)
class SuggestedMove:
    """Something to do now. `pattern` is as it may be shown: without evidence where that is withheld.

    `expected_success_rate` is what may be expected of it in the situation of the facts, made of what `basis` says; where
    its evidence is withheld, the author's claim, or None without one, and no basis. `likely` ranks it: what it reaches
    almost surely, an untried one if its author is believed. `learned` is the trigger that outcomes taught, if it holds.
    """

    pattern: Pattern
    trigger: str
    expected_success_rate: float | None
    likely: float
    explanation: str
    basis: Basis | None = None
    learned: LearnedTrigger | None = None


def rank_moves(
    candidates: Iterable[Triggered], facts: KnownFacts, rule: PublicationRule
) -> Sequence[SuggestedMove]:
    """The moves by what is likely of them, descending. What others have tried meets the hurdles of any proven advice, and
    is left out where it fails one.

    An untried pattern ranks by its author's claim at the weight of a few trials (`CLAIM_WEIGHT`), so that a
    proven one overtakes it; without a claimed rate it comes last of the untried. Ties go to the higher
    expected rate, then to the smaller pattern id, so that equal questions get equal answers.
    """
    # Its trigger holds, so that it is about the facts, whatever its words.
    requirements = Requirements(min_similarity=0.0, rule=rule)
    moves = [
        _move(triggered, facts, rule)
        for triggered in candidates
        if (triggered.trigger is not None and triggered.candidate.pattern.withheld(rule))
        or hurdle(triggered.candidate, requirements) is None
    ]
    return sorted(
        moves, key=lambda m: (-m.likely, -(m.expected_success_rate or 0), m.pattern.pattern_id)
    )


def _move(triggered: Triggered, facts: KnownFacts, rule: PublicationRule) -> SuggestedMove:
    candidate, learned = triggered.candidate, triggered.learned
    trigger = triggered.trigger
    text = trigger.text if trigger else learned.text if learned else ""
    reasons = "; ".join(
        reason
        for reason in (
            trigger and _reasons(trigger, facts),
            learned and learned.sentence(),
        )
        if reason
    )
    if not candidate.pattern.withheld(rule):
        expectation = candidate.expectation
        return SuggestedMove(
            pattern=candidate.pattern,
            trigger=text,
            expected_success_rate=candidate.expected_success_rate,
            likely=expectation.believed.low,
            explanation=f"{reasons}; {track_record(candidate)}",
            basis=expectation.basis,
            learned=learned,
        )
    # Withheld outcomes must not show through the order or the expectation either.
    pattern = candidate.pattern.without_evidence()
    claim = pattern.claim or Claim()
    return SuggestedMove(
        pattern=pattern,
        trigger=text,
        expected_success_rate=claim.success_rate,
        likely=claim.prior().low,
        explanation=f"{reasons}; {claim.sentence()}",
    )


def _reasons(trigger: Trigger, facts: KnownFacts) -> str:
    """The trigger's facts that are known, as text."""
    return " and ".join(
        f"{name} is {_plain(facts[name])}" for name in trigger.names if name in facts
    )


def _plain(value: FactValue) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < LARGEST_PLAIN_NUMBER:
            return str(int(value))
        case float():
            return f"{value:g}"
        case str():
            return _cut(value)
        case _:
            return _cut(", ".join(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_FACT else f"{text[: LONGEST_FACT - 1]}…"
