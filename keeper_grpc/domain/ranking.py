"""Which pattern answers an insight, and why, or why none does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from keeper_grpc.domain.pattern import Pattern
from keeper_grpc.domain.publication import PublicationRule, Withheld

DEFAULT_MIN_SUCCESS_RATE = 0.60
DEFAULT_MIN_OCCURRENCES = 3


class NoMatch(Enum):
    """Why an insight was not enhanced, from the farthest from a match to the nearest."""

    NO_PATTERNS = 1
    NOTHING_SIMILAR = 2
    TOO_FEW_ACCOUNTS = 3
    TOO_FEW_OCCURRENCES = 4
    SUCCESS_RATE_TOO_LOW = 5
    ONE_ACCOUNT_DOMINATES = 6


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a pattern must show to be applied. `min_similarity` belongs to the embedding model."""

    min_similarity: float
    rule: PublicationRule
    min_success_rate: float = DEFAULT_MIN_SUCCESS_RATE
    min_occurrences: int = DEFAULT_MIN_OCCURRENCES


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pattern as the asking account may see it, and its cosine similarity to what it asked."""

    pattern: Pattern
    similarity: float

    @property
    def score(self) -> float:
        """Similarity * lower bound: the chance that it applies times the rate it surely has."""
        return self.similarity * self.pattern.lower_bound


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best candidate, or the reason why there is none."""

    best: Candidate | None
    no_match: NoMatch | None


def hurdle(candidate: Candidate, requirements: Requirements) -> NoMatch | None:
    """The first requirement that a candidate fails, or None when it may be applied."""
    evidence = candidate.pattern.evidence
    if candidate.similarity < requirements.min_similarity:
        return NoMatch.NOTHING_SIMILAR
    withheld = requirements.rule.withheld(evidence)
    if withheld is Withheld.TOO_FEW_ACCOUNTS:
        return NoMatch.TOO_FEW_ACCOUNTS
    if evidence.trials < requirements.min_occurrences:
        return NoMatch.TOO_FEW_OCCURRENCES
    if evidence.success_rate < requirements.min_success_rate:
        return NoMatch.SUCCESS_RATE_TOO_LOW
    if withheld is Withheld.ONE_ACCOUNT_DOMINATES:
        return NoMatch.ONE_ACCOUNT_DOMINATES
    return None


def rank(candidates: Sequence[Candidate], requirements: Requirements) -> Ranking:
    """Choose the best-scoring candidate that meets the requirements.

    When none does, the answer names the hurdle of the one that came farthest. Ties go to the
    pattern with the smaller id, so that equal questions get equal answers.
    """
    fit: list[Candidate] = []
    farthest = NoMatch.NO_PATTERNS
    for candidate in candidates:
        failed = hurdle(candidate, requirements)
        if failed is None:
            fit.append(candidate)
        elif failed.value > farthest.value:
            farthest = failed
    if not fit:
        return Ranking(None, farthest)
    return Ranking(min(fit, key=lambda c: (-c.score, c.pattern.pattern_id)), None)


def explain(candidate: Candidate) -> str:
    """Why this pattern, in one sentence for people."""
    evidence = candidate.pattern.evidence
    return (
        f"{evidence.successes} of {evidence.trials} similar cases at {evidence.accounts} other "
        f"{candidate.pattern.scope.business_category} accounts succeeded (at least "
        f"{candidate.pattern.lower_bound:.0%} with 95% certainty); "
        f"similarity {candidate.similarity:.2f}, score {candidate.score:.2f}"
    )


def context_line(candidate: Candidate) -> str:
    """The source design's sentence for an enhanced insight."""
    evidence = candidate.pattern.evidence
    return (
        f"This approach worked {evidence.success_rate:.0%} of the time across "
        f"{evidence.trials} similar cases"
    )
