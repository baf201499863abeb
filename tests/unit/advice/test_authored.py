from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.advice.authored import (
    AuthoredAdvice,
    Matched,
    asks_for_proof,
    choose_authored,
)
from keeper_grpc.domain.advice.ranking import Candidate, Requirements
from keeper_grpc.domain.authored.matching import Match, MatchedBy
from keeper_grpc.domain.authored.triggers import parse_trigger
from keeper_grpc.domain.evidence.evidence import NO_EVIDENCE, NO_SHARE, Evidence, Prior, Share
from keeper_grpc.domain.evidence.guardrails import Harm
from keeper_grpc.domain.evidence.priors import Source
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.claim import Claim
from keeper_grpc.domain.patterns.pattern import Pattern, Scope, Script

RULE = PublicationRule(3)
TRIGGER = parse_trigger("review.rating <= 2")
HOLDS = Match(MatchedBy.TRIGGER, 1.0)
OWN_WORDS = "Dear {name}, what a pity"


def matched(
    number: int = 1,
    found: Match = HOLDS,
    claimed: float | None = 0.7,
    own: Share = NO_SHARE,
    **fields: Any,
) -> Matched:
    """An untested pattern of the catalog that is about a question."""
    pattern = Pattern(
        pattern_id=UUID(int=number),
        scope=Scope("review_response", "spa", "model"),
        conditions={"rating": "2 or lower"},
        action="Call the reviewer",
        evidence=NO_EVIDENCE,
        scripts=(
            Script("Hello {name}", NO_EVIDENCE, authored=True),
            Script(OWN_WORDS, Evidence(9, 9, 2)),
        ),
        first_discovered=None,
        last_validated=None,
        prior=Claim(success_rate=claimed).prior(),
        authored=True,
        claim=Claim(success_rate=claimed),
    )
    return Matched(Candidate(replace(pattern, **fields), 0.3), TRIGGER, found, own)


def choose(found: Sequence[Matched], seed: int = 1) -> AuthoredAdvice | None:
    """What is offered."""
    return choose_authored(found, RULE, Random(seed))  # noqa: S311 - not a secret


@pytest.mark.parametrize(
    "fields",
    [
        {"retired": True},
        {"fading": True},
        {"crossed": (Harm.COMPLAINTS,)},
        {"evidence": Evidence(3, 3, 3)},
        {"authored": False},
        {"action": ""},
    ],
)
def test_what_is_tested_harms_or_was_taken_back_is_not_offered(fields: dict[str, Any]) -> None:
    """Nor what accounts said: of that a claim would be made up."""
    assert choose([matched()]) is not None
    assert choose([matched(**fields)]) is None


def test_outcomes_of_too_few_do_not_show() -> None:
    """Neither by being offered or not, nor in what is offered; nor do their words."""
    hidden = choose([matched(evidence=Evidence(40, 0, 2), last_validated=None)])
    assert hidden is not None
    assert hidden == choose([matched()])
    assert hidden.pattern.evidence == NO_EVIDENCE
    assert hidden.script == "Hello {name}"


@given(st.integers(1, 5))
def test_each_of_its_scripts_has_the_same_chance(count: int) -> None:
    """Its author claims the same of all; those of accounts are not among them."""
    texts = {f"Script {number}" for number in range(count)}
    scripts = [Script(text, NO_EVIDENCE, authored=True) for text in sorted(texts)]
    one = matched(scripts=(Script(OWN_WORDS, Evidence(9, 9, 2)), *scripts))
    given = [advice for seed in range(60) if (advice := choose([one], seed))]
    assert {advice.script for advice in given} == texts
    assert {advice.script_propensity for advice in given} == {1 / count}


@given(st.integers(0, 8), st.data())
def test_an_account_is_not_offered_what_fails_for_itself(trials: int, data: st.DataObject) -> None:
    """Three outcomes of its own on, they and the claim must leave 60% to expect."""
    successes = data.draw(st.integers(0, trials))
    offered = choose([matched(own=Share(trials, successes))])
    expected = (0.7 * 5 + successes) / (5 + trials)
    assert (offered is not None) == (trials < 3 or expected >= 0.6)


@given(
    st.lists(
        st.builds(
            matched,
            number=st.integers(1, 99),
            found=st.builds(Match, st.just(MatchedBy.CONDITIONS), st.sampled_from([0.2, 0.5, 1.0])),
            claimed=st.sampled_from([None, 0.5, 0.9]),
        ),
        min_size=1,
    ),
    st.randoms(),
)
def test_the_best_match_is_offered_in_whatever_order_they_come(
    found: list[Matched], rng: Any
) -> None:
    """What fits best, then what its author promises most of, then the smaller id."""
    best = choose(found)
    assert best is not None
    assert best.matched.strength == max(one.match.strength for one in found)
    rivals = [one for one in found if one.match.strength == best.matched.strength]
    rates = [(one.candidate.pattern.claim or Claim()).success_rate for one in rivals]
    claimed = (best.pattern.claim or Claim()).success_rate
    # A claim of one half at the weight of five trials is surer than none.
    assert (claimed or 0) == max(rate or 0 for rate in rates)
    assert best.pattern.pattern_id == min(
        one.candidate.pattern.pattern_id
        for one, rate in zip(rivals, rates, strict=True)
        if rate == claimed
    )
    shuffled = list(found)
    rng.shuffle(shuffled)
    assert choose(shuffled) == best


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (HOLDS, "its trigger holds: review.rating <= 2"),
        (
            Match(MatchedBy.CONDITIONS, 1.0, ("churn_risk", "rating")),
            "its author's conditions agree: churn risk, rating",
        ),
        (Match(MatchedBy.WORDS, 0.1), "its words are similar (0.30)"),
    ],
)
def test_it_is_labelled_and_explained(found: Match, reason: str) -> None:
    """A claim is said to be one, in both sentences."""
    advice = choose([matched(found=found)])
    assert advice is not None
    label = "authored, untested here; its author claims 70% success"
    assert advice.network_context == label.capitalize()
    assert advice.explanation == f"No evidence fits; {reason}; {label}"
    unclaimed = choose([matched(claimed=None)])
    assert unclaimed is not None
    assert unclaimed.network_context.endswith("its author states no success rate")


@pytest.mark.parametrize(
    ("rate", "occurrences", "asks"),
    [(0.6, 3, False), (0.61, 3, True), (0.6, 4, True), (0.0, 1, False)],
)
def test_who_asks_for_more_than_the_defaults_asks_for_proof(
    rate: float, occurrences: int, asks: bool
) -> None:
    """Equal to them is the same as not setting them."""
    required = Requirements(0.5, RULE, min_success_rate=rate, min_occurrences=occurrences)
    assert asks_for_proof(required) is asks


def test_a_claim_raises_no_rate_that_is_said_to_be_proven() -> None:
    """Once it is tested, what is expected of an authored pattern is what would be expected of any other."""
    tested = Evidence(6, 3, 3)
    claimed = matched(claimed=0.95, evidence=tested, prior_source=Source.AUTHOR)
    assert claimed.candidate.expected_success_rate == pytest.approx(4 / 8)
    learned = replace(claimed.candidate.pattern, unclaimed=Prior(2.0, 6.0))
    assert Candidate(learned, 0.9).expected_success_rate == pytest.approx(5 / 14)
