from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.metrics.uplift import Arm, Uplift

ARMS = st.integers(0, 500).flatmap(
    lambda trials: st.integers(0, trials).map(lambda successes: Arm(trials, successes))
)


def test_the_interval_is_newcombes() -> None:
    """56 of 70 against 48 of 80: 0.2, from 0.0524 to 0.3339 (Newcombe, 1998, table II, method 10)."""
    uplift = Uplift(Arm(70, 56), Arm(80, 48))
    assert uplift.difference == pytest.approx(0.2)
    assert uplift.interval() == pytest.approx((0.0524, 0.3339), abs=1e-4)


@given(advised=ARMS, held_out=ARMS)
def test_an_interval_holds_its_difference(advised: Arm, held_out: Arm) -> None:
    """It lies in [-1, 1], around the difference, whatever the counts, none included."""
    uplift = Uplift(advised, held_out)
    low, high = uplift.interval()
    assert -1 <= low <= uplift.difference + 1e-12
    assert uplift.difference - 1e-12 <= high <= 1


@given(advised=ARMS, held_out=ARMS)
def test_swapping_the_arms_turns_the_sign(advised: Arm, held_out: Arm) -> None:
    """What advice gains is what its absence loses."""
    low, high = Uplift(advised, held_out).interval()
    assert Uplift(held_out, advised).interval() == pytest.approx((-high, -low), abs=1e-9)


def test_without_outcomes_nothing_is_claimed() -> None:
    """The interval of nothing is everything."""
    assert Uplift(Arm(0, 0), Arm(0, 0)).interval() == (-1.0, 1.0)
