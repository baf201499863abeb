from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.metrics.confidence_sequence import half_width
from keeper_grpc.domain.metrics.contrast import Counts, contrast
from keeper_grpc.domain.metrics.experiment import OwnerOutcomes, compare, experiment
from keeper_grpc.domain.metrics.uplift import Arm, Uplift

RUNS = 1_000
DAYS = 60
QUESTIONS = 4
"""Different questions of an owner. Each stays in its arm, however often it is asked, and has a rate of its own."""

ARMS = st.integers(0, 40).flatmap(
    lambda trials: st.integers(0, trials).map(lambda successes: Arm(trials, successes))
)
OUTCOMES = st.lists(
    st.builds(
        OwnerOutcomes,
        owner_key=st.sampled_from("abcdef"),
        business_category=st.just("spa"),
        holdout_share=st.sampled_from([0.1, 0.5]),
        advised=ARMS,
        held_out=ARMS,
    ),
    max_size=12,
)


def played(random: np.random.Generator, owners: int, share: float, uplift: float) -> Counts:
    """One experiment: by row of `compare`, by owner and by day, what was reported so far.

    Owners differ in size, in how well they do and in what advice brings them, by a standard deviation of ten
    points where it brings anything.
    """
    size = random.gamma(1.0, 0.7, owners)
    own = random.normal(0.0, 0.2, (owners, 1)) + random.normal(0.0, 0.15, (owners, QUESTIONS))
    brought = uplift + (random.normal(0.0, 0.1, (owners, 1)) if uplift else 0.0)
    held_out = random.random((owners, QUESTIONS)) < share
    rate = np.clip(0.45 + own + np.where(held_out, 0.0, brought), 0.02, 0.98)
    asked = random.poisson(
        np.broadcast_to(size[:, None, None] / QUESTIONS, (owners, QUESTIONS, DAYS))
    )
    won = random.binomial(asked, rate[:, :, None])
    arms = [
        (counts * arm[:, :, None]).sum(axis=1)
        for arm in (~held_out, held_out)
        for counts in (asked, won)
    ]
    return np.stack(arms).astype(float).cumsum(axis=2)


def looks(counts: Counts) -> Sequence[tuple[float, float]]:
    """The interval as it is read on each day."""
    return [compare(contrast([counts[:, :, day]])).interval for day in range(DAYS)]


@pytest.mark.parametrize(("owners", "share"), [(50, 0.2), (12, 0.3)])
def test_a_network_that_brings_nothing_is_not_praised(owners: int, share: float) -> None:
    """In at most 5% of 1,000 experiments without any effect does the interval ever exclude zero, read daily."""
    random = np.random.default_rng(20)
    alarms = sum(
        any(low > 0 or high < 0 for low, high in looks(played(random, owners, share, 0.0)))
        for _ in range(RUNS)
    )
    assert alarms <= 0.05 * RUNS


def test_an_interval_for_one_reading_would_raise_false_alarms() -> None:
    """The same experiments are too hard for independent outcomes that are read once: the test above can fail."""
    random = np.random.default_rng(20)
    alarms = 0
    for _ in range(RUNS // 10):
        totals = played(random, 50, 0.2, 0.0).sum(axis=1)
        for advised, won, held_out, won_held_out in totals.T.astype(int).tolist():
            low, high = Uplift(Arm(advised, won), Arm(held_out, won_held_out)).interval()
            if low > 0 or high < 0:
                alarms += 1
                break
    assert alarms > 0.2 * RUNS / 10


@pytest.mark.parametrize(("owners", "share"), [(50, 0.2), (12, 0.3)])
def test_the_true_uplift_lies_inside_on_every_day(owners: int, share: float) -> None:
    """With clustered owners whose gains differ, the interval holds the mean gain all the time in 95% of runs."""
    random = np.random.default_rng(21)
    held = sum(
        all(low <= 0.15 <= high for low, high in looks(played(random, owners, share, 0.15)))
        for _ in range(RUNS)
    )
    assert held >= 0.95 * RUNS


def test_a_real_uplift_is_shown() -> None:
    """Fifty owners show an uplift of 30 points within sixty days, mostly."""
    random = np.random.default_rng(22)
    shown = sum(looks(played(random, 50, 0.3, 0.3))[-1][0] > 0 for _ in range(100))
    assert shown >= 75


def test_the_boundary_is_robbins_normal_mixture() -> None:
    """As a library of confidence sequences (ville 0.1.0) gives it, tightest at a standard error of five points."""
    assert half_width(0.1) == pytest.approx(1.904516, abs=1e-5)
    assert half_width(0.0025) == pytest.approx(0.151756, abs=1e-5)
    assert half_width(0.0001) == pytest.approx(0.033728, abs=1e-5)


@given(OUTCOMES)
def test_the_interval_holds_its_difference(outcomes: list[OwnerOutcomes]) -> None:
    """It lies in [-1, 1], around the difference, whatever the counts; without one it says nothing."""
    found = experiment(outcomes)
    low, high = found.interval
    if found.difference is None:
        assert (low, high) == (-1.0, 1.0)
    else:
        assert -1.0 <= low <= found.difference + 1e-12
        assert found.difference - 1e-12 <= high <= 1.0
    assert found.advised.trials == sum(each.advised.trials for each in outcomes)
    assert found.held_out.successes == sum(each.held_out.successes for each in outcomes)


@given(OUTCOMES)
def test_neither_order_nor_accounts_matter(outcomes: list[OwnerOutcomes]) -> None:
    """The rows of one owner count as one, in whatever order they come."""
    turned = list(reversed(outcomes))
    first, second = experiment(outcomes), experiment(turned)
    assert first.interval == pytest.approx(second.interval)
    assert (
        first.owners
        == second.owners
        == len({o.owner_key for o in outcomes if o.advised.trials or o.held_out.trials})
    )


def owner(
    name: str, advised: tuple[int, int], held_out: tuple[int, int], share: float = 0.5
) -> OwnerOutcomes:
    """One owner's trials and successes in both arms."""
    return OwnerOutcomes(name, "spa", share, Arm(*advised), Arm(*held_out))


def test_one_owner_is_no_comparison() -> None:
    """Where a whole arm is one owner's, what distinguishes the owner looks like an effect: nothing is claimed."""
    many = [owner(name, (50, 40), (0, 0)) for name in "abcdefgh"]
    found = experiment([*many, owner("z", (0, 0), (200, 20))])
    assert found.difference == pytest.approx(0.7)
    assert found.interval == (-1.0, 1.0)


def test_more_questions_of_the_same_owners_do_not_stand_for_more_owners() -> None:
    """Ten times as many outcomes of ten owners who differ say hardly more about the next owner."""
    rates = [3, 9, 2, 8, 4, 7, 3, 9, 5, 6]
    few = [owner(str(i), (10, rate), (10, 10 - rate)) for i, rate in enumerate(rates)]
    many = [owner(str(i), (100, 10 * rate), (100, 100 - 10 * rate)) for i, rate in enumerate(rates)]
    narrow = [experiment(each).interval for each in (few, many)]
    widths = [high - low for low, high in narrow]
    assert widths[1] > 0.7 * widths[0]


def test_a_changed_share_is_no_effect() -> None:
    """More is held out in a bad month: compared as one the arms would differ, by share they do not."""
    outcomes = [
        each
        for name in "abcdefghijkl"
        for each in (owner(name, (90, 72), (10, 8), 0.1), owner(name, (10, 2), (90, 18), 0.9))
    ]
    found = experiment(outcomes)
    assert found.advised.rate - found.held_out.rate == pytest.approx(0.48)
    assert found.difference == pytest.approx(0.0)
