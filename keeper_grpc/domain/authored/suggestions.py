"""Moves: authored patterns whose trigger holds now, the most promising first, each with its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keeper_grpc.domain.authored.triggers import FactValue, KnownFacts, Trigger
from keeper_grpc.domain.evidence.expectation import expect
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey

LONGEST_FACT = 40
"""Characters of a text fact that an explanation repeats."""

LARGEST_PLAIN_NUMBER = 1e15
"""Whole numbers below it are written out: a double holds each of them exactly."""


@dataclass(frozen=True, slots=True)
class StoredTrigger:
    """A pattern's stored trigger. Another release may have written it, with facts that this one lacks."""

    key: PatternKey
    text: str


@dataclass(frozen=True, slots=True)
class Triggered:
    """A pattern, without the asking account's own evidence, and the trigger that holds."""

    pattern: Pattern
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class SuggestedMove:
    """Something to do now. `pattern` is as it may be shown: without evidence where that is withheld.

    `expected_success_rate` is the success rate at other accounts; where that is withheld, the author's claim,
    or None without one. `likely` ranks it: what it reaches almost surely, if its author is believed.
    """

    pattern: Pattern
    trigger: str
    expected_success_rate: float | None
    likely: float
    explanation: str


def rank_moves(
    candidates: Iterable[Triggered], facts: KnownFacts, rule: PublicationRule
) -> Sequence[SuggestedMove]:
    """The moves by what is likely of them, descending.

    An untried pattern ranks by its author's claim at the weight of a few trials (`CLAIM_WEIGHT`), so that a
    proven one overtakes it; without a claimed rate it comes last of the untried. Ties go to the higher
    expected rate, then to the smaller pattern id, so that equal questions get equal answers.
    """
    moves = [_move(candidate, facts, rule) for candidate in candidates]
    return sorted(
        moves, key=lambda m: (-m.likely, -(m.expected_success_rate or 0), m.pattern.pattern_id)
    )


def _move(candidate: Triggered, facts: KnownFacts, rule: PublicationRule) -> SuggestedMove:
    withheld = candidate.pattern.withheld(rule)
    # Withheld outcomes must not show through the order or the expectation either.
    pattern = candidate.pattern.without_evidence() if withheld else candidate.pattern
    claim = pattern.claim or Claim()
    expected = claim.success_rate if withheld else pattern.evidence.success_rate
    expectation = expect(pattern.evidence, pattern.prior, cautious=pattern.cautious)
    known = claim.sentence() if withheld else _track_record(pattern, expectation.lower_bound)
    return SuggestedMove(
        pattern=pattern,
        trigger=candidate.trigger.text,
        expected_success_rate=expected,
        likely=expectation.believed.low,
        explanation=f"{_reasons(candidate.trigger, facts)}; {known}",
    )


def _reasons(trigger: Trigger, facts: KnownFacts) -> str:
    """The trigger's facts that are known, as text."""
    return " and ".join(
        f"{name} is {_plain(facts[name])}" for name in trigger.names if name in facts
    )


def _track_record(pattern: Pattern, lower_bound: float) -> str:
    evidence = pattern.evidence
    return (
        f"{evidence.successes} of {evidence.trials} cases at {evidence.accounts} other "
        f"{pattern.scope.business_category} accounts succeeded "
        f"(at least {lower_bound:.0%} with 95% certainty)"
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
