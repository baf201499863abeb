from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.advice.ranking import (
    HURDLES,
    Candidate,
    NoMatch,
    Ranking,
    Requirements,
    caution,
    context_line,
    explain,
    hurdle,
    rank,
)
from keeper_grpc.domain.evidence.evidence import Evidence, Prior
from keeper_grpc.domain.evidence.guardrails import Harm
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern, Scope

REQUIRED = Requirements(min_similarity=0.5, rule=PublicationRule(3))
GOOD = Evidence(trials=12, successes=10, accounts=3)


def candidate(number: int = 1, evidence: Evidence = GOOD, similarity: float = 0.9) -> Candidate:
    """A pattern that passes every hurdle unless told otherwise."""
    return Candidate(
        Pattern(
            pattern_id=UUID(int=number),
            scope=Scope("churn_prevention", "spa", "model"),
            conditions={},
            action="Call the guest",
            evidence=evidence,
            scripts=(),
            first_discovered=datetime(2026, 1, 1, tzinfo=UTC),
            last_validated=None,
            prior=Prior(),
        ),
        similarity,
    )


def chosen(ranking: Ranking) -> Candidate | None:
    """The pattern that won."""
    return ranking.best.candidate if ranking.best else None


FAILING = {
    NoMatch.NOTHING_SIMILAR: candidate(similarity=0.49),
    NoMatch.TOO_FEW_OCCURRENCES: candidate(evidence=Evidence(2, 2, 3)),
    NoMatch.SUCCESS_RATE_TOO_LOW: candidate(evidence=replace(GOOD, successes=7)),
    NoMatch.PATTERN_FADING: replace(candidate(), pattern=replace(candidate().pattern, fading=True)),
}
candidates = st.builds(
    candidate,
    number=st.integers(1, 50),
    evidence=st.builds(
        lambda failures, successes, accounts: Evidence(failures + successes, successes, accounts),
        st.integers(0, 6),
        st.integers(0, 5),
        st.integers(0, 6),
    ),
    similarity=st.sampled_from([0.4, 0.5, 0.7, 0.9]),
)


@pytest.mark.parametrize("reason", FAILING)
def test_every_hurdle_gives_its_own_reason(reason: NoMatch) -> None:
    """A lone candidate that fails one requirement names that requirement."""
    assert hurdle(FAILING[reason], REQUIRED) is reason
    assert rank([FAILING[reason]], REQUIRED).no_match is reason


def test_an_empty_scope_has_its_own_reason() -> None:
    """Nothing known at all is not the same as nothing similar."""
    assert rank([], REQUIRED).no_match is NoMatch.NO_PATTERNS


def test_the_requirements_hold_at_their_limits() -> None:
    """Exactly the least similarity, accounts, occurrences and expected rate suffice."""
    barely = Evidence(trials=8, successes=5, accounts=3)
    limits = replace(REQUIRED, min_occurrences=8, min_success_rate=0.6)
    assert hurdle(candidate(evidence=barely, similarity=0.5), limits) is None


@pytest.mark.parametrize("cleared", range(len(HURDLES)))
def test_hurdles_are_met_in_their_order(cleared: int) -> None:
    """Of a candidate that fails all of them from some hurdle on, that hurdle is the reason."""
    fails = set(HURDLES[cleared:])
    good = 0.3 if NoMatch.SUCCESS_RATE_TOO_LOW in fails else 1.0
    trials = 4 if NoMatch.TOO_FEW_OCCURRENCES in fails else 100
    similarity = 0.4 if NoMatch.NOTHING_SIMILAR in fails else 0.9
    failing = candidate(evidence=Evidence(trials, int(good * trials), 4), similarity=similarity)
    failing = replace(
        failing,
        pattern=replace(
            failing.pattern,
            fading=NoMatch.PATTERN_FADING in fails,
            crossed=(Harm.LOSSES,),
        ),
    )
    required = replace(REQUIRED, min_occurrences=50)
    assert hurdle(failing, required) is HURDLES[cleared]


def test_only_what_says_nothing_of_a_candidate_is_no_hurdle() -> None:
    """Every other reason says how far a candidate came."""
    assert set(NoMatch) - set(HURDLES) == {
        NoMatch.NO_PATTERNS,
        NoMatch.HOLDOUT,
        NoMatch.EMBEDDER_UNAVAILABLE,
    }


def test_the_answer_names_the_hurdle_of_the_one_that_came_farthest() -> None:
    """With one of each kind, the reason is the last hurdle; and any that passes wins over all."""
    failing = list(FAILING.values())
    assert rank(failing, REQUIRED).no_match is NoMatch.PATTERN_FADING
    ranking = rank([*failing, candidate(9)], REQUIRED)
    assert chosen(ranking) == candidate(9)
    assert ranking.no_match is None


def test_a_miss_says_how_close_it_was_and_whether_that_may_be_told() -> None:
    """The most similar of those at the farthest hurdle."""
    low = replace(GOOD, successes=7)
    near, far = candidate(2, low, 0.8), candidate(1, low, 0.7)
    closest = rank([far, near, FAILING[NoMatch.TOO_FEW_OCCURRENCES]], REQUIRED).closest
    assert closest is not None
    assert closest.candidate == near
    assert closest.failed is NoMatch.SUCCESS_RATE_TOO_LOW
    assert rank([], REQUIRED).closest is None


@given(st.lists(candidates), st.sampled_from([0.4, 0.5, 0.9]))
def test_what_is_withheld_is_as_if_it_did_not_exist(
    found: list[Candidate], similarity: float
) -> None:
    """Near or far, good or bad: the answer is the same with it and without."""
    withheld = [
        candidate(99, replace(GOOD, accounts=2), similarity),
        candidate(98, Evidence(2, 0, 1), similarity),
    ]
    assert rank([*withheld, *found], REQUIRED) == rank(found, REQUIRED)


def test_the_surer_pattern_wins_over_the_luckier() -> None:
    """190 of 200 outranks 3 of 3 at equal similarity."""
    lucky = candidate(1, Evidence(3, 3, 3))
    sure = candidate(2, Evidence(200, 190, 5))
    assert chosen(rank([lucky, sure], REQUIRED)) is sure


def test_the_nearer_pattern_wins_at_equal_evidence() -> None:
    """Similarity counts where the rates are alike."""
    near, far = candidate(2, similarity=0.9), candidate(1, similarity=0.8)
    assert chosen(rank([far, near], REQUIRED)) is near


def test_ties_go_to_the_smaller_id() -> None:
    """Equal questions get equal answers."""
    assert chosen(rank([candidate(2), candidate(1)], REQUIRED)) == candidate(1)


@settings(max_examples=50)
@given(st.lists(candidates, max_size=8, unique_by=lambda c: c.pattern.pattern_id), st.randoms())
def test_the_order_of_the_candidates_decides_nothing(
    found: list[Candidate], chance: random.Random
) -> None:
    """The database may return rows in any order."""
    shuffled = found.copy()
    chance.shuffle(shuffled)
    assert rank(shuffled, REQUIRED) == rank(found, REQUIRED)


@settings(max_examples=50)
@given(st.lists(candidates, max_size=8, unique_by=lambda c: c.pattern.pattern_id))
def test_an_answer_is_advice_or_a_reason_and_never_worse_than_another(
    found: list[Candidate],
) -> None:
    """Exactly one of the two is there, and no other fit candidate scores higher."""
    ranking = rank(found, REQUIRED)
    assert (ranking.best is None) != (ranking.no_match is None)
    if ranking.best is not None:
        assert hurdle(ranking.best.candidate, REQUIRED) is None
        failures = [c for c in found if hurdle(c, REQUIRED) is NoMatch.SUCCESS_RATE_TOO_LOW]
        assert ranking.best.score == max(
            c.similarity * c.expectation.lower_bound * c.transfer * caution(c, failures)
            for c in found
            if hurdle(c, REQUIRED) is None
        )


def test_a_nearer_known_failure_counts_against_a_pattern() -> None:
    """The nearer the failure and the likelier it fails here, the less the farther pattern is worth."""
    fit = candidate(1, similarity=0.6)
    failed = candidate(2, Evidence(10, 1, 3), 0.9)
    assert caution(fit, [failed]) == pytest.approx(1 - 0.3 * 10 / 12)
    assert caution(fit, []) == caution(fit, [candidate(2, Evidence(10, 1, 3), 0.6)]) == 1
    best = rank([fit, failed], REQUIRED).best
    assert best is not None
    assert best.candidate is fit
    assert best.caution == pytest.approx(0.75)


def test_what_transfers_badly_ranks_lower_and_is_expected_to_work_less_often() -> None:
    """A pattern of another category counts at its discount, in the score and in the rate."""
    here, there = candidate(2), replace(candidate(1), transfer=0.7)
    required = replace(REQUIRED, min_success_rate=0.5)
    best = rank([there, here], required).best
    assert best is not None
    assert best.candidate is here
    alone = rank([there], required).best
    assert alone is not None
    assert alone.expected_success_rate == pytest.approx(0.7 * best.expected_success_rate)
    assert alone.score == pytest.approx(0.7 * best.score)


def test_the_explanation_is_made_of_the_evidence() -> None:
    """Counts, rate and similarity of the applied pattern stand in the sentences for people."""
    told = rank([candidate(evidence=Evidence(23, 20, 4), similarity=0.8123)], REQUIRED).best
    assert told is not None
    assert context_line(told).startswith(
        "This approach worked 84% of the time across 23 similar cases"
    )
    sentence = explain(told, "spa")
    assert sentence.startswith("20 of 23 similar cases at 4 other spa accounts succeeded")
    assert "similarity 0.81" in sentence
    assert "another category" not in sentence
    assert "another category" in explain(told, "gym")


@given(st.floats(0, 1), st.floats(0.1, 1))
def test_a_candidate_of_another_question_is_the_same_but_for_its_similarity(
    similarity: float, transfer: float
) -> None:
    """Whichever way it is made; the one that it is made of stays as it was."""
    known = replace(candidate(), about=True)
    again = known.at(similarity, transfer)
    assert again == replace(known, similarity=similarity, transfer=transfer)
    assert again.expectation is known.expectation
    assert again.expected_success_rate == known.expectation.rate * transfer
    assert known == replace(candidate(), about=True)
