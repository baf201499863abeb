"""Which pattern answers an insight, and why, or why none does.

    score = similarity * lower bound * transfer * caution

similarity: the cosine of question and pattern; how surely the pattern is about this at all.
lower bound: of the success rate expected in the question's situation; little evidence lowers it.
transfer: 1 in the asking account's category; in another, how well that category's patterns have done
here so far.
caution: below 1 when the question lies nearer to a known failure than to this pattern.
The factors are multiplied because each is a chance that must also hold.

The situation decides everything: a pattern is applied where the rate that is expected in the question's
situation, times transfer, is high enough, and that rate is what the answer shows, boosts by and explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import cast

from keeper_grpc.domain.evidence.expectation import (
    NOWHERE,
    Basis,
    Expectation,
    SituationEvidence,
    expect,
)
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.merging.agreement import Agreement, agreement
from keeper_grpc.domain.patterns.pattern import Pattern

DEFAULT_MIN_SUCCESS_RATE = 0.60
DEFAULT_MIN_OCCURRENCES = 3

JUDGED = 200
"""Nearest patterns that may meet the requirements whose evidence is read to find those that do."""


class NoMatch(Enum):
    """Why an insight was not enhanced."""

    NO_PATTERNS = "no_patterns"
    NOTHING_SIMILAR = "nothing_similar"
    TOO_FEW_OCCURRENCES = "too_few_occurrences"
    SUCCESS_RATE_TOO_LOW = "success_rate_too_low"
    PATTERN_FADING = "pattern_fading"
    HARMFUL = "harmful"
    HOLDOUT = "holdout"
    EMBEDDER_UNAVAILABLE = "embedder_unavailable"


HURDLES = (
    NoMatch.NOTHING_SIMILAR,
    NoMatch.TOO_FEW_OCCURRENCES,
    NoMatch.SUCCESS_RATE_TOO_LOW,
    NoMatch.PATTERN_FADING,
    NoMatch.HARMFUL,
)
"""The requirements that a published candidate may fail, in the order in which it meets them. A holdout is
none of them: it withholds advice from an insight that has a match. Nor is an embedding model that does not answer: nobody
looked for a match.
"""


KNOWN_FAILURES = (NoMatch.SUCCESS_RATE_TOO_LOW, NoMatch.PATTERN_FADING)
"""The hurdles of what was tried and does not work, or no longer does."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a pattern must show to be applied. `min_similarity` belongs to the embedding model."""

    min_similarity: float
    rule: PublicationRule
    min_success_rate: float = DEFAULT_MIN_SUCCESS_RATE
    min_occurrences: int = DEFAULT_MIN_OCCURRENCES


@dataclass(frozen=True)
class Candidate:
    """A pattern as the asking account may see it, and its cosine similarity to what it asked.

    `situation` is the pattern's evidence in the question's situation; `transfer` is 1 in the asking
    account's own category. `about` says that its author's trigger or conditions fit the question, so that the
    words need not be similar.
    """

    pattern: Pattern
    similarity: float
    situation: SituationEvidence = NOWHERE
    transfer: float = 1.0
    about: bool = False

    @cached_property
    def expectation(self) -> Expectation:
        """How often it may be expected to work in the situation, before transfer.

        Kept: hurdles, scores and cautions ask for it again, and its bounds are most of the work of ranking.
        """
        pattern = self.pattern
        return expect(
            pattern.evidence,
            pattern.proven_prior,
            self.situation,
            pattern.cautious,
            pattern.spreads,
        )

    @property
    def expected_success_rate(self) -> float:
        """How often it may be expected to work for the asking account: what is judged and shown."""
        return self.expectation.rate * self.transfer

    @cached_property
    def uncautious_score(self) -> float:
        """Its score where no known failure is near; kept, for sorting asks for it in each question."""
        return self.similarity * self.expectation.lower_bound * self.transfer

    def at(self, similarity: float, transfer: float = 1.0) -> Candidate:
        """The same for another question about the same situation, with what was computed of it."""
        # Without the constructor, which takes most of the time of a ranking: twenty are made for each question.
        candidate = object.__new__(Candidate)
        candidate.__dict__.update(
            pattern=self.pattern,
            similarity=similarity,
            situation=self.situation,
            transfer=transfer,
            about=self.about,
            expectation=self.expectation,
        )
        return candidate


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate that meets the requirements, and each factor of its score."""

    candidate: Candidate
    caution: float

    @property
    def expectation(self) -> Expectation:
        """The candidate's, before transfer."""
        return self.candidate.expectation

    @property
    def lower_bound(self) -> float:
        """The rate that is exceeded with 95% certainty, before transfer."""
        return self.expectation.lower_bound

    @property
    def expected_success_rate(self) -> float:
        """How often it may be expected to work for the asking account."""
        return self.candidate.expected_success_rate

    @property
    def score(self) -> float:
        """The product of the factors."""
        return self.candidate.uncautious_score * self.caution

    @property
    def deviation(self) -> float:
        """Standard deviation of what is expected."""
        return self.expectation.deviation * self.candidate.transfer


@dataclass(frozen=True, slots=True)
class Miss:
    """The published candidate that came closest, and the requirement it failed."""

    candidate: Candidate
    failed: NoMatch


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates that may be advised, best first, or the reason why there is none and what came closest."""

    fit: Sequence[Scored]
    no_match: NoMatch | None
    closest: Miss | None = None

    @property
    def best(self) -> Scored | None:
        """The best candidate, where there is one."""
        return self.fit[0] if self.fit else None


def hurdle(candidate: Candidate, requirements: Requirements) -> NoMatch | None:
    """The first of HURDLES that a candidate fails, or None when it may be applied.

    A withheld candidate is none, whatever it is about and whatever the caller requires: its being near, or
    its evidence, could be found out by varying the question.
    """
    # A candidate is shared by those to whom it looks the same, and most of them require the same.
    judged = candidate.__dict__.get("judged")
    if judged is None or judged[0] is not requirements:
        judged = candidate.__dict__["judged"] = requirements, _failed(candidate, requirements)
    return cast("NoMatch | None", judged[1])


def _failed(candidate: Candidate, requirements: Requirements) -> NoMatch | None:
    if candidate.pattern.withheld(requirements.rule):
        return NoMatch.NO_PATTERNS
    if not candidate.about and candidate.similarity < requirements.min_similarity:
        return NoMatch.NOTHING_SIMILAR
    expectation = candidate.expectation
    if expectation.counted.trials < requirements.min_occurrences:
        return NoMatch.TOO_FEW_OCCURRENCES
    if candidate.expected_success_rate < requirements.min_success_rate:
        return NoMatch.SUCCESS_RATE_TOO_LOW
    if candidate.pattern.fading:
        return NoMatch.PATTERN_FADING
    return NoMatch.HARMFUL if candidate.pattern.crossed else None


def rank(candidates: Sequence[Candidate], requirements: Requirements) -> Ranking:
    """Rank the candidates that meet the requirements by their scores.

    When none does, the answer names the hurdle of the published one that came farthest, the most similar of
    those. Ties go to the pattern with the smaller id, so that equal questions get equal answers.
    """
    failed = [(hurdle(candidate, requirements), candidate) for candidate in candidates]
    fit = [candidate for reason, candidate in failed if reason is None]
    if fit:
        failures = [c for reason, c in failed if reason in KNOWN_FAILURES]
        scored = [_score(candidate, failures) for candidate in fit]
        return Ranking(
            sorted(scored, key=lambda s: (-s.score, s.candidate.pattern.pattern_id)), None
        )
    misses = [Miss(candidate, reason) for reason, candidate in failed if reason in HURDLES]
    if not misses:
        return Ranking((), NoMatch.NO_PATTERNS)
    closest = min(
        misses,
        key=lambda m: (
            -HURDLES.index(m.failed),
            -m.candidate.similarity,
            m.candidate.pattern.pattern_id,
        ),
    )
    return Ranking((), closest.failed, closest)


def without_harmful(
    others: Sequence[Candidate], own: Sequence[Candidate], requirements: Requirements
) -> Sequence[Candidate]:
    """The patterns of other categories that do not say what was found harmful in the account's own."""
    harmful = [
        candidate.pattern.action
        for candidate in own
        if candidate.pattern.crossed and not candidate.pattern.withheld(requirements.rule)
    ]
    return [
        other
        for other in others
        if all(agreement(other.pattern.action, action) not in SAME for action in harmful)
    ]


SAME = (Agreement.SHARED, Agreement.TERSE)
"""Agreements of words by which an action is taken for a harmful one: that it is similar is known already."""


def caution(candidate: Candidate, failures: Sequence[Candidate]) -> float:
    """How far a question's nearness to known failures counts against a candidate; in (0, 1].

    A failure counts by how much nearer it is than the candidate, and by how often it is expected to fail.
    """
    if not failures:
        return 1.0
    similarity = candidate.similarity
    against = [
        (failure.similarity - similarity) * (1 - failure.expected_success_rate)
        for failure in failures
        if failure.similarity > similarity
    ]
    return 1 - min(max(against, default=0.0), 1.0)


def _score(candidate: Candidate, failures: Sequence[Candidate]) -> Scored:
    return Scored(candidate, caution(candidate, failures))


def explain(best: Scored, own_category: str, *, drawn: bool = False) -> str:
    """Why this pattern, in one sentence for people: what was counted, and what follows for the situation."""
    candidate = best.candidate
    category = candidate.pattern.scope.business_category
    where = (
        ""
        if category == own_category
        else f"; learned in another category, counted at {candidate.transfer:.0%}"
    )
    return (
        f"{track_record(candidate)}{where}; "
        f"similarity {candidate.similarity:.2f}, score {best.score:.2f}"
        f"{_DRAWN if drawn else ''}"
    )


def track_record(candidate: Candidate) -> str:
    """What was counted, and what is expected of it in the situation, in a clause for people."""
    expectation = candidate.expectation
    counted = expectation.counted
    return (
        f"{counted.successes} of {counted.trials} similar cases at {counted.accounts} other "
        f"{candidate.pattern.scope.business_category} accounts "
        f"succeeded{_SITUATION[expectation.basis]} "
        f"{candidate.expected_success_rate:.0%} are expected, at least "
        f"{expectation.lower_bound * candidate.transfer:.0%} with 95% certainty"
    )


def context_line(best: Scored) -> str:
    """The source design's sentence for an enhanced insight: the expected rate, and what it was made of."""
    return (
        f"This approach worked {best.expected_success_rate:.0%} of the time across "
        f"{best.expectation.counted.trials} similar cases{_CASES[best.expectation.basis]}"
    )


_DRAWN = "; drawn by chance among those that may be the best, to learn which one is"

_SITUATION = {
    Basis.SITUATION: ", all of them in this situation; in this situation",
    Basis.ADJUSTED: "; with what is known of this situation",
    Basis.PATTERN: " in all situations together, because too little is known of this one; in general",
}

_CASES = {
    Basis.SITUATION: "",
    Basis.ADJUSTED: ", adjusted to this situation",
    Basis.PATTERN: " of all situations together",
}
