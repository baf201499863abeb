from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from keeper_grpc.domain.evidence.evidence import (
    EXACT_QUANTILE,
    LOWER_QUANTILE,
    Evidence,
    Prior,
    boost,
)

ratios = st.floats(0, 1)
counts = st.integers(1, 5_000)


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[int, int]:
    """(successes, trials), at least one trial."""
    trials = draw(counts)
    return draw(st.integers(0, trials)), trials


def evidence(successes: int, trials: int) -> Evidence:
    """Outcomes, whoever made them."""
    return Evidence(trials=trials, successes=successes)


@given(outcomes())
def test_the_lower_bound_is_between_nothing_and_the_rate(seen: tuple[int, int]) -> None:
    """A bound above what was seen, or below zero, would be absurd to show."""
    known = evidence(*seen)
    assert 0 <= known.lower_bound() <= known.success_rate <= 1


@given(outcomes())
def test_one_more_success_instead_of_a_failure_never_lowers_the_bound(
    seen: tuple[int, int],
) -> None:
    """At equal trials the bound grows with the successes."""
    successes, trials = seen
    if successes < trials:
        assert (
            evidence(successes, trials).lower_bound()
            <= evidence(successes + 1, trials).lower_bound()
        )


@given(outcomes(), st.integers(2, 20))
def test_more_successes_of_the_same_rate_raise_the_bound_where_the_prior_does_not_help(
    seen: tuple[int, int], times: int
) -> None:
    """The same rate seen more often is surer, unless the prior lifts what few outcomes say."""
    successes, trials = seen
    few, many = evidence(successes, trials), evidence(successes * times, trials * times)
    if 2 * successes >= trials:
        # The cautious prior is below a half.
        assert few.lower_bound() <= many.lower_bound() + 1e-12


def test_little_evidence_does_not_beat_much() -> None:
    """190 of 200 outranks 3 of 3: certainty counts."""
    assert evidence(190, 200).lower_bound() > 0.8
    assert evidence(3, 3).lower_bound() < 0.2


@given(outcomes(), st.floats(0.1, 50), st.floats(0.1, 50))
def test_the_bound_is_a_low_quantile_of_the_posterior(
    seen: tuple[int, int], believed: float, doubted: float
) -> None:
    """It agrees with scipy's Beta distribution under any prior, capped by what the outcomes alone bear."""
    successes, trials = seen
    known = evidence(successes, trials)
    quantile = beta.ppf(LOWER_QUANTILE, believed + successes, doubted + trials - successes)
    exact = beta.ppf(EXACT_QUANTILE, successes, trials - successes + 1) if successes else 0.0
    assert known.lower_bound(Prior(believed, doubted)) == pytest.approx(
        min(float(quantile), float(exact)), abs=1e-9
    )


def test_without_trials_nothing_is_claimed() -> None:
    """No trials: rate and bound are zero, also under a believing prior."""
    assert Evidence().success_rate == 0
    assert Evidence().lower_bound(Prior(9, 1)) == 0


@given(ratios, ratios)
def test_the_boost_is_the_documented_formula_below_its_cap(confidence: float, rate: float) -> None:
    """`confidence * (1 + rate * 0.3)`, at most 0.99."""
    formula = confidence * (1 + rate * 0.3)
    if formula <= 0.99:
        assert boost(confidence, rate) == formula
    else:
        assert boost(confidence, rate) == max(confidence, 0.99)


@given(st.floats(0, 1, exclude_max=True), ratios)
def test_a_boosted_confidence_never_falls_and_never_reaches_certainty(
    confidence: float, rate: float
) -> None:
    """Advice does not make an insight less likely, nor certain."""
    assert confidence <= boost(confidence, rate) < 1
