from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import (
    RECENCY_EPOCH,
    Evidence,
    Prior,
    Share,
    Shares,
    recency_weight,
)
from keeper_grpc.domain.evidence.expectation import NOWHERE, SituationEvidence, expect
from keeper_grpc.domain.evidence.publication import PublicationRule

RULE = PublicationRule(3)
K = st.integers(2, 6)


@st.composite
def shares(draw: st.DrawFn, least: int = 1) -> list[Share]:
    """Some accounts' trials and successes, the busiest first."""
    count = draw(st.integers(least, 12))
    trials = draw(st.lists(st.integers(1, 1000), min_size=count, max_size=count))
    return [Share(n, draw(st.integers(0, n))) for n in sorted(trials, reverse=True)]


def total(counted: list[Share]) -> Evidence:
    """The evidence of these accounts."""
    return Evidence.of(
        Shares([share.trials for share in counted], [share.successes for share in counted])
    )


@st.composite
def published(draw: st.DrawFn) -> Evidence:
    """Evidence that may be shown."""
    counted = draw(shares(least=3))
    rest = sum(share.trials for share in counted[1:])
    first = Share(min(counted[0].trials, rest), min(counted[0].successes, rest))
    return total([first, *counted[1:]])


@st.composite
def withheld(draw: st.DrawFn) -> Evidence:
    """Evidence that may not be shown: of two accounts, or of several where one dominates."""
    counted = draw(shares())
    if draw(st.booleans()):
        return total(counted[:2])
    rest = sum(share.trials for share in counted)
    return total([Share(rest + 1, draw(st.integers(0, rest + 1))), *counted])


priors = st.builds(Prior, st.floats(0.1, 20), st.floats(0.1, 20))
situations = st.builds(SituationEvidence, published(), st.lists(published(), max_size=4).map(tuple))


@given(published(), priors, situations)
def test_an_expectation_is_a_probability_with_a_lower_bound_below_it(
    evidence: Evidence, prior: Prior, situation: SituationEvidence
) -> None:
    """Never certain of anything, and never surer than likely."""
    expected = expect(evidence, prior, situation, RULE)
    assert 0 < expected.rate < 1
    assert 0 <= expected.lower_bound < expected.rate


@given(published(), priors)
def test_without_evidence_about_the_situation_it_is_the_patterns_own_posterior(
    evidence: Evidence, prior: Prior
) -> None:
    """In full strength: the weighted outcomes added to the prior."""
    trials, successes = evidence.weighted(RULE.k)
    expected = expect(evidence, prior, NOWHERE, RULE)
    assert expected.successes == pytest.approx(prior.successes + successes)
    assert expected.failures == pytest.approx(prior.failures + trials - successes)


@given(published(), priors, withheld(), st.lists(withheld(), max_size=4))
def test_situations_that_may_not_be_shown_are_not_used(
    evidence: Evidence, prior: Prior, whole: Evidence, facts: list[Evidence]
) -> None:
    """A facet that few accounts or mostly one account saw changes nothing."""
    assert RULE.withheld(whole)
    seen = SituationEvidence(whole, tuple(facts))
    assert expect(evidence, prior, seen, RULE) == expect(evidence, prior, NOWHERE, RULE)


def spread(successes: int, trials: int) -> Evidence:
    """Outcomes of many accounts, none of which stands out."""
    return Evidence(trials=trials, successes=successes, accounts=30, largest_account_trials=1)


@st.composite
def parts(draw: st.DrawFn) -> tuple[int, int]:
    """Successes and trials of one part of a pattern's outcomes."""
    trials = draw(st.integers(1, 200))
    return draw(st.integers(0, trials)), trials


@given(parts(), parts(), st.lists(parts(), max_size=3))
def test_one_more_success_here_raises_it(
    here: tuple[int, int], elsewhere: tuple[int, int], facts: list[tuple[int, int]]
) -> None:
    """Instead of a failure: it is one of the situation, of each of its facts and of the pattern."""
    assume(here[0] < here[1])

    def rate(more: int) -> float:
        whole = (here[0] + more, here[1])
        shared = [(whole[0] + s, whole[1] + t) for s, t in facts]
        everything = [whole, elsewhere, *facts]
        pattern = (sum(s for s, _ in everything), sum(t for _, t in everything))
        seen = SituationEvidence(spread(*whole), tuple(spread(*fact) for fact in shared))
        return expect(spread(*pattern), Prior(), seen, RULE).rate

    assert rate(1) > rate(0)


@given(parts())
def test_one_more_success_of_the_pattern_raises_it(seen: tuple[int, int]) -> None:
    """Where nothing is known about the situation."""
    successes, trials = seen
    assume(successes < trials)
    rates = [
        expect(spread(count, trials), Prior(), NOWHERE, RULE).rate
        for count in (successes, successes + 1)
    ]
    assert rates[0] < rates[1]


@given(published(), st.integers(1, 200), st.integers(0, 200))
def test_one_more_success_in_the_situation_raises_it(
    evidence: Evidence, trials: int, successes: int
) -> None:
    """In the whole situation, and for a single fact."""
    assume(successes < trials)

    def seen(count: int) -> Evidence:
        return Evidence(
            trials=3 * trials, successes=count, accounts=3, largest_account_trials=trials
        )

    def rates(count: int) -> tuple[float, float]:
        whole = SituationEvidence(seen(count))
        fact = SituationEvidence(Evidence(), (seen(count),))
        return (
            expect(evidence, Prior(), whole, RULE).rate,
            expect(evidence, Prior(), fact, RULE).rate,
        )

    less, more = rates(successes), rates(successes + 1)
    assert more[0] > less[0]
    assert more[1] > less[1]


def test_much_evidence_of_the_situation_outweighs_the_pattern() -> None:
    """A pattern that works half the time works always in one situation."""
    half = Evidence(trials=300, successes=150, accounts=10, largest_account_trials=30)
    always = Evidence(trials=100, successes=100, accounts=10, largest_account_trials=10)
    rate = expect(half, Prior(), SituationEvidence(always, (always,)), RULE).rate
    assert rate > 0.95


@given(shares(), K)
def test_weights_are_never_negative_and_never_more_than_counted(
    counted: list[Share], k: int
) -> None:
    """Successes within trials, trials within what there is."""
    evidence = total(counted)
    trials, successes = evidence.weighted(k)
    assert 0 <= trials <= evidence.trials
    assert successes >= 0
    assert successes <= trials or successes == pytest.approx(trials)


@given(shares(), K)
def test_no_account_weighs_more_than_its_part(counted: list[Share], k: int) -> None:
    """Where there are k accounts, the busiest is worth at most 1/k of all."""
    assume(len(counted) >= k)
    weighed, _ = total(counted).weighted(k)
    capped = [float(share.trials) for share in counted]
    for _ in range(200):  # the plain definition: cut what exceeds 1/k, until nothing does
        cap = sum(capped) / k
        capped = [min(trials, cap) for trials in capped]
    assert max(capped) <= sum(capped) / k * (1 + 1e-6)
    assert weighed == pytest.approx(sum(capped), rel=1e-3)


@given(shares(), K)
def test_the_order_of_accounts_does_not_matter(counted: list[Share], k: int) -> None:
    """Busiest first or last."""
    evidence = total(counted)
    turned = Evidence(
        trials=evidence.trials,
        successes=evidence.successes,
        accounts=evidence.accounts,
        largest_account_trials=evidence.largest_account_trials,
        shares=tuple(reversed(evidence.shares)),
    )
    assert turned.weighted(k) == pytest.approx(evidence.weighted(k))


@given(
    st.lists(st.integers(0, 2000), min_size=1, max_size=50),
    st.integers(7, 400),
)
def test_recency_does_not_depend_on_the_order_of_arrival(ages: list[int], half_life: int) -> None:
    """Sums of weights are what ages weighed today would be, in any order."""
    span = timedelta(days=half_life)
    today = RECENCY_EPOCH + timedelta(days=2000)

    def recent(ordered: list[int]) -> float:
        weights = [recency_weight(today - timedelta(days=age), span) for age in ordered]
        return sum(weights) / recency_weight(today, span)

    by_age = sum(0.5 ** (age / half_life) for age in ages)
    assert recent(ages) == pytest.approx(by_age)
    assert recent(ages[::-1]) == pytest.approx(by_age)


def test_an_outcome_of_one_half_life_ago_counts_half() -> None:
    """And one of two a quarter; dates that no double could weigh are bounded."""
    span = timedelta(days=180)
    now = datetime(2026, 5, 1, tzinfo=UTC)
    assert recency_weight(now - span, span) / recency_weight(now, span) == pytest.approx(0.5)
    assert recency_weight(now - 2 * span, span) / recency_weight(now, span) == pytest.approx(0.25)
    assert recency_weight(now, timedelta(seconds=1)) == 2.0**300
