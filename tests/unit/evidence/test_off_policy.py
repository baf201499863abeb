from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.off_policy import Choice, Drawn, contrast, value

K = 3


def play(
    rng: np.random.Generator,
    *,
    owners: int,
    questions: int,
    rates: tuple[float, float],
    spread: float,
) -> list[Choice]:
    """Choices of something, by a policy that prefers it in good situations.

    It succeeds at the first rate, what is chosen instead at the second, in situations and at owners that differ by
    as much as `spread` says.
    """
    choices = []
    for owner in range(owners):
        usual = rng.uniform(-spread, spread)
        for _ in range(questions):
            situation = rng.choice([-spread, spread])
            propensity = 0.6 if situation > 0 else 0.15
            chosen = bool(rng.random() < propensity)
            rate = rates[not chosen] + situation + usual
            choices.append(
                Choice(
                    owner=str(owner),
                    expected=0.5 + situation,
                    propensity=propensity if chosen else 1 - propensity,
                    chosen=chosen,
                    success=bool(rng.random() < rate),
                )
            )
    return choices


@given(st.integers(0, 2**32 - 1), st.floats(0.3, 0.7), st.floats(0.0, 0.15))
@settings(max_examples=8)
def test_every_estimate_is_unbiased_under_known_propensities(
    seed: int, rate: float, spread: float
) -> None:
    """The mean of many is the truth, where the plain rate of what was chosen is not."""
    rng = np.random.default_rng(seed)
    found = [
        value(play(rng, owners=10, questions=20, rates=(rate, 0.5), spread=spread), K)
        for _ in range(120)
    ]
    for estimator in ("inverse_propensity", "self_normalized", "doubly_robust"):
        estimates = [getattr(each, estimator).value for each in found]
        noise = np.std(estimates) / np.sqrt(len(estimates))
        assert np.mean(estimates) == pytest.approx(rate, abs=5 * noise + 0.01)


def test_a_plain_rate_would_be_biased_where_the_propensities_differ() -> None:
    """It counts the good situations, in which it was chosen, too often."""
    rng = np.random.default_rng(3)
    choices = play(rng, owners=40, questions=100, rates=(0.5, 0.5), spread=0.15)
    plain = np.mean([choice.success for choice in choices if choice.chosen])
    found = value(choices, K)
    assert found is not None
    assert plain > 0.56
    assert found.doubly_robust.value == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("owners", "questions"), [(6, 30), (30, 8)])
def test_intervals_cover_the_truth_as_often_as_they_say(owners: int, questions: int) -> None:
    """Of 300, with owners that differ; 95% less three standard errors."""
    rng = np.random.default_rng(11)
    covered = {"inverse_propensity": 0, "self_normalized": 0, "doubly_robust": 0}
    for _ in range(300):
        choices = play(rng, owners=owners, questions=questions, rates=(0.6, 0.5), spread=0.1)
        found = value(choices, K)
        assert found is not None
        for name in covered:
            low, high = getattr(found, name).interval
            covered[name] += low <= 0.6 <= high
    assert min(covered.values()) / 300 > 0.91


def test_nothing_is_said_of_fewer_than_k_owners() -> None:
    """However many outcomes they have."""
    rng = np.random.default_rng(1)
    choices = play(rng, owners=2, questions=50, rates=(0.6, 0.5), spread=0.0)
    assert value(choices, K) is None
    one = {str(owner): Drawn(9, 18.0, 36.0, 9.0) for owner in range(2)}
    other = {str(owner): Drawn(9, 18.0, 36.0, -9.0) for owner in range(9)}
    assert contrast(one, other, K) is None
    assert contrast(other, one, K) is None


def test_one_owner_moves_an_estimate_by_a_kth_at_most() -> None:
    """A thousand failures of one among nine that always succeed."""
    choices = [Choice(str(owner), 0.5, 0.5, True, True) for owner in range(9) for _ in range(5)]
    choices += [Choice("heavy", 0.5, 0.5, True, False)] * 1_000
    found = value(choices, K)
    assert found is not None
    assert found.self_normalized.value >= 1 - 1 / K


def drawn(
    rng: np.random.Generator, rate: float, owners: int, propensity: float
) -> dict[str, Drawn]:
    """Owners' outcomes of something that succeeds at this rate, where half was expected."""
    made = {}
    for owner in range(owners):
        good = rng.binomial(4, rate)
        inverse = 1 / propensity
        made[str(owner)] = Drawn(4, 4 * inverse, 4 * inverse**2, inverse * (good - 4 * 0.5))
    return made


def test_a_contrast_of_equals_is_rarely_taken_for_a_difference() -> None:
    """Of 400 pairs of equals at most one in forty surpasses; of clear ones nearly all."""
    rng = np.random.default_rng(5)

    def surpassed(rates: tuple[float, float]) -> float:
        found = [
            contrast(drawn(rng, rates[0], 20, 0.2), drawn(rng, rates[1], 20, 0.8), K)
            for _ in range(400)
        ]
        return float(np.mean([each is not None and each.interval[0] > 0 for each in found]))

    assert surpassed((0.6, 0.6)) < 0.045
    assert surpassed((0.85, 0.45)) > 0.95
