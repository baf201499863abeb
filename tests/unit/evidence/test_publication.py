from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import Share, weigh
from keeper_grpc.domain.evidence.publication import PublicationRule


@given(st.lists(st.integers(1, 50), max_size=8), st.integers(2, 6))
def test_k_owners_are_enough_and_one_fewer_is_not(trials: list[int], k: int) -> None:
    """The rule turns exactly at k distinct owners, whatever each of them made."""
    evidence = weigh([Share(own, own) for own in trials], k)
    assert PublicationRule(k).withheld(evidence) is (len(trials) < k)


@pytest.mark.parametrize("captures", [1, 31, 10_000])
def test_no_owner_takes_a_pattern_away(captures: int) -> None:
    """However much one of them reports, what k owners support stays published."""
    evidence = weigh([Share(4, 3), Share(4, 3), Share(4, 3), Share(captures, 0)], 3)
    assert not PublicationRule(3).withheld(evidence)


def measured(*means: float, unmeasured: int = 0) -> list[Share]:
    """Owners that measured revenue, by their means, and some that did not."""
    known = [Share(4, 2, revenue_total=2 * mean, revenue_count=2) for mean in means]
    return known + [Share(4, 2)] * unmeasured


def test_the_typical_revenue_is_the_median_owners_mean() -> None:
    """Outcomes without a figure do not dilute it, and an invented billion does not move it."""
    rule = PublicationRule(3)
    assert rule.revenue(weigh(measured(10.0, 30.0, 80.0, unmeasured=9), 3)) == 30.0
    assert rule.revenue(weigh(measured(10.0, 30.0, 80.0, 1e9), 3)) == 55.0


def test_revenue_of_too_few_owners_is_not_published_with_others_outcomes() -> None:
    """Ten owners observed and two measured: nothing is told."""
    assert PublicationRule(3).revenue(weigh(measured(10.0, 30.0, unmeasured=8), 3)) is None
    assert PublicationRule(3).revenue(weigh([], 3)) is None
