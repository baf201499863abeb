from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import Evidence, Prior, Share, weigh
from keeper_grpc.domain.evidence.expectation import (
    NOWHERE,
    STRENGTH,
    FactEvidence,
    SituationEvidence,
    expect,
    situate,
)
from keeper_grpc.domain.evidence.publication import PublicationRule
from tests.unit.evidence.shares import owners

RULE = PublicationRule(3)
priors = st.builds(Prior, st.floats(0.1, 20), st.floats(0.1, 20))
pattern_shares = owners(least=3)


def even(successes: int, trials: int = 5, count: int = 6) -> dict[str, Share]:
    """So many owners with the same outcomes."""
    return {f"owner {n}": Share(trials, successes) for n in range(count)}


@st.composite
def parts(draw: st.DrawFn, whole: dict[str, Share]) -> dict[str, Share]:
    """Some of each owner's outcomes."""
    found = {}
    for owner, own in whole.items():
        successes = draw(st.integers(0, own.successes))
        failures = draw(st.integers(0, own.trials - own.successes))
        if successes + failures:
            found[owner] = Share(successes + failures, successes)
    return found


@given(pattern_shares, priors, st.data())
def test_an_expectation_is_a_probability_with_a_lower_bound_below_it(
    pattern: dict[str, Share], prior: Prior, data: st.DataObject
) -> None:
    """Never certain of anything, and never surer than likely."""
    here = data.draw(parts(pattern))
    facts = data.draw(st.dictionaries(st.sampled_from("abc"), parts(pattern)))
    situation = situate(pattern, here, facts, RULE)
    expected = expect(weigh(pattern.values(), 3), prior, situation)
    assert 0 < expected.rate < 1
    assert 0 <= expected.lower_bound <= expected.rate


@given(pattern_shares, priors)
def test_without_evidence_about_the_situation_it_is_the_patterns_own_posterior(
    pattern: dict[str, Share], prior: Prior
) -> None:
    """In full strength: the weighted outcomes added to the prior."""
    evidence = weigh(pattern.values(), 3)
    trials, successes = evidence.recent
    expected = expect(evidence, prior)
    assert expected.believed.successes == pytest.approx(prior.successes + successes)
    assert expected.believed.failures == pytest.approx(prior.failures + trials - successes)


@given(st.integers(0, 5), st.integers(1, 5), st.integers(3, 9), priors)
def test_a_pattern_that_was_seen_in_one_situation_only_is_expected_as_the_pattern_is(
    successes: int, trials: int, count: int, prior: Prior
) -> None:
    """The same outcomes as pattern, as situation and as each of its facts count once."""
    shares = even(min(successes, trials), trials, count)
    evidence = weigh(shares.values(), 3)
    situation = situate(shares, shares, {"day": shares, "time": shares, "service": shares}, RULE)
    expected = expect(evidence, prior, situation, prior)
    assert expected.rate == pytest.approx(expect(evidence, prior).rate)
    assert expected.lower_bound == pytest.approx(evidence.lower_bound(prior))


def test_three_of_three_in_one_situation_are_three_of_three() -> None:
    """Not a bound of 82%, but the pattern's own."""
    three = even(1, 1, 3)
    evidence = weigh(three.values(), 3)
    situation = situate(three, three, {"day": three, "time": three}, RULE)
    assert expect(evidence, Prior(), situation).lower_bound == pytest.approx(evidence.lower_bound())


@given(pattern_shares, priors, st.data())
def test_outcomes_weigh_no_more_than_there_are(
    pattern: dict[str, Share], prior: Prior, data: st.DataObject
) -> None:
    """The posterior's strength is the prior's, the situation's, and at most STRENGTH of elsewhere."""
    here = data.draw(parts(pattern))
    facts = data.draw(st.dictionaries(st.sampled_from("abc"), parts(pattern)))
    situation = situate(pattern, here, facts, RULE)
    expected = expect(weigh(pattern.values(), 3), prior, situation)
    believed = expected.believed
    gained = believed.successes + believed.failures - prior.successes - prior.failures
    if situation != NOWHERE:
        elsewhere = min(situation.elsewhere.recent[0], STRENGTH)
        assert gained <= situation.here.recent[0] + elsewhere + 1e-9


@given(pattern_shares, st.data())
def test_situations_that_may_not_be_shown_are_not_told_apart(
    pattern: dict[str, Share], data: st.DataObject
) -> None:
    """What fewer than k owners saw in a situation changes nothing."""
    here = dict(list(data.draw(parts(pattern)).items())[:2])
    facts = {key: dict(list(data.draw(parts(pattern)).items())[:2]) for key in ("day", "time")}
    assert situate(pattern, here, facts, RULE) == NOWHERE


def test_what_is_left_of_too_few_owners_is_not_used() -> None:
    """A situation of four owners must not tell what the fifth and sixth saw elsewhere."""
    pattern = even(4)
    here = {owner: pattern[owner] for owner in list(pattern)[:4]}
    situation = situate(pattern, here, {}, RULE)
    assert situation.here.accounts == 4
    assert situation.elsewhere == Evidence()


@given(st.integers(0, 4), st.integers(1, 6), st.integers(1, 200))
def test_one_more_success_here_raises_it(successes: int, others: int, trials: int) -> None:
    """Instead of a failure."""

    def rate(more: int) -> float:
        here = Evidence(5, successes + more, 3)
        elsewhere = Evidence(trials, trials * others // 10, 3)
        return expect(elsewhere, Prior(), SituationEvidence(here, elsewhere)).rate

    assert rate(1) > rate(0)


@given(st.integers(0, 19), st.integers(0, 40), st.integers(1, 60))
def test_a_fact_with_which_more_succeed_raises_it(shared: int, others: int, elsewhere: int) -> None:
    """Instead of one with which fewer do."""
    rest = Evidence(60, elsewhere, 3)

    def rate(more: int) -> float:
        fact = FactEvidence(Evidence(20, shared + more, 3), Evidence(40, others, 3))
        return expect(rest, Prior(), SituationEvidence(elsewhere=rest, facts=(fact,))).rate

    assert rate(1) > rate(0)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 8))
def test_a_fact_that_is_named_many_times_moves_it_once(
    shared: int, others: int, times: int
) -> None:
    """Facts of the same outcomes are one piece of news."""
    rest = Evidence(40, shared + others, 3)
    fact = FactEvidence(Evidence(20, shared, 3), Evidence(20, others, 3))

    def rate(count: int) -> float:
        situation = SituationEvidence(elsewhere=rest, facts=(fact,) * count)
        return expect(rest, Prior(), situation).rate

    assert rate(times) == pytest.approx(rate(1))


def test_much_evidence_of_the_situation_outweighs_the_pattern() -> None:
    """A pattern that works half the time works always in one situation."""
    half, always = even(100, 250), even(100, 100)
    situation = situate(half, always, {"day": always}, RULE)
    assert expect(weigh(half.values(), 3), Prior(), situation).rate > 0.95


def test_one_owner_does_not_bend_a_situation() -> None:
    """Its weight is cut there as everywhere."""
    honest = even(5)
    bent = {**honest, "attacker": Share(1000, 0)}
    expected = expect(weigh(bent.values(), 3), Prior(), situate(bent, bent, {"day": bent}, RULE))
    assert expected.rate > 0.8
