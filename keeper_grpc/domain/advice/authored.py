"""What an author advises where nothing proven answers a question.

It is labelled as what it is, takes part in no boost and states no rate: the author's claim is shown as a claim. Evidence
takes over as soon as it may be shown: a pattern that k other owners tried is tested here, and is judged as any other
pattern is, whatever its author claims.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from keeper_grpc.domain.advice.ranking import (
    DEFAULT_MIN_OCCURRENCES,
    DEFAULT_MIN_SUCCESS_RATE,
    Candidate,
    Requirements,
)
from keeper_grpc.domain.authored.matching import Match, MatchedBy
from keeper_grpc.domain.authored.triggers import Trigger
from keeper_grpc.domain.evidence.evidence import NO_SHARE, Share
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.pattern import Pattern


@dataclass(frozen=True, slots=True)
class StoredAuthored:
    """A pattern of the catalog as a candidate, its trigger, which another release may have written, and the asking
    account's `own` outcomes.
    """

    candidate: Candidate
    trigger: str
    own: Share = NO_SHARE


@dataclass(frozen=True, slots=True)
class Matched:
    """An authored pattern that is about a question, and why. `trigger` is what the author asks for."""

    candidate: Candidate
    trigger: Trigger
    match: Match
    own: Share = NO_SHARE


@dataclass(frozen=True, slots=True)
class AuthoredAdvice:
    """An author's advice to one question; `pattern` is without evidence. `script` is empty where all were withdrawn, and
    had the chance `script_propensity` of being the one.
    """

    pattern: Pattern
    similarity: float
    matched: Match
    trigger: str
    script: str
    script_propensity: float = 1.0

    @property
    def network_context(self) -> str:
        """The sentence for people: the label, and the claim as a claim."""
        said = (self.pattern.claim or Claim()).sentence()
        return said[0].upper() + said[1:]

    @property
    def explanation(self) -> str:
        """Why this pattern, in one sentence for people."""
        match self.matched.by:
            case MatchedBy.TRIGGER:
                why = f"its trigger holds: {self.trigger}"
            case MatchedBy.CONDITIONS:
                keys = ", ".join(key.replace("_", " ") for key in self.matched.agreed)
                why = f"its author's conditions agree: {keys}"
            case MatchedBy.WORDS:
                why = f"its words are similar ({self.similarity:.2f})"
        return f"No evidence fits; {why}; {(self.pattern.claim or Claim()).sentence()}"


def asks_for_proof(requirements: Requirements) -> bool:
    """Whether a question asks for more evidence than the defaults do: an author has none to offer."""
    return (
        requirements.min_success_rate > DEFAULT_MIN_SUCCESS_RATE
        or requirements.min_occurrences > DEFAULT_MIN_OCCURRENCES
    )


def choose_authored(
    matched: Sequence[Matched], rule: PublicationRule, rng: Random
) -> AuthoredAdvice | None:
    """The untested one that matches best; of those that match alike, the one that is likely to work, if authors are
    believed. Ties go to the more similar, then to the smaller id, so that equal questions get equal answers.

    Its author claims the same of each of its scripts, so that drawing one costs nothing, and all are tried.
    """
    untested = [one for one in matched if _may_be_offered(one, rule)]
    if not untested:
        return None
    best = min(
        untested,
        key=lambda one: (
            -one.match.strength,
            -(one.candidate.pattern.claim or Claim()).prior().low,
            -one.candidate.similarity,
            one.candidate.pattern.pattern_id,
        ),
    )
    pattern = best.candidate.pattern.without_evidence()
    scripts = sorted(one.template for one in pattern.scripts if one.authored)
    script = rng.choice(scripts) if len(scripts) > 1 else "".join(scripts)
    return AuthoredAdvice(
        pattern=pattern,
        similarity=best.candidate.similarity,
        matched=best.match,
        trigger=best.trigger.text,
        script=script,
        script_propensity=1 / max(len(scripts), 1),
    )


def _may_be_offered(one: Matched, rule: PublicationRule) -> bool:
    """Untested by others as far as may be shown, not known to harm or to work no longer, nor to fail where it is asked for.

    What others know is judged from the default occurrences on, by the default rate, and so is what the account knows itself.
    """
    pattern = one.candidate.pattern
    tried = one.own.trials >= DEFAULT_MIN_OCCURRENCES
    expected = (pattern.claim or Claim()).prior().after(one.own.trials, one.own.successes).mean
    return (
        pattern.authored
        and pattern.applies
        and rule.withheld(pattern.evidence)
        and bool(pattern.action)
        and not (tried and expected < DEFAULT_MIN_SUCCESS_RATE)
    )
