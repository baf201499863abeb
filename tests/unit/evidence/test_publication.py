from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import Evidence
from keeper_grpc.domain.evidence.publication import PublicationRule, Withheld


def shared(*trials: int) -> Evidence:
    """Evidence of as many accounts as there are numbers, each with so many trials."""
    return Evidence(
        trials=sum(trials),
        successes=sum(trials),
        accounts=len(trials),
        largest_account_trials=max(trials, default=0),
    )


@pytest.mark.parametrize("k", [2, 3, 5])
def test_k_accounts_are_enough_and_one_fewer_is_not(k: int) -> None:
    """The rule turns exactly at k distinct accounts."""
    assert PublicationRule(k).withheld(shared(*[1] * (k - 1))) is Withheld.TOO_FEW_ACCOUNTS
    assert PublicationRule(k).withheld(shared(*[1] * k)) is None


def test_an_account_may_hold_half_of_the_evidence_but_not_more() -> None:
    """Exactly half is fine; one more trial and the pattern is mostly one account's."""
    assert PublicationRule(3).withheld(shared(4, 2, 2)) is None
    assert PublicationRule(3).withheld(shared(5, 2, 2)) is Withheld.ONE_ACCOUNT_DOMINATES


@given(st.lists(st.integers(1, 50), max_size=8), st.integers(2, 6))
def test_what_is_shown_hides_in_a_crowd(trials: list[int], k: int) -> None:
    """Whatever is published has at least k accounts, and the others hold as much as the largest."""
    if PublicationRule(k).withheld(shared(*trials)) is None:
        assert len(trials) >= k
        assert max(trials) <= sum(trials) - max(trials)
    else:
        assert len(trials) < k or max(trials) > sum(trials) - max(trials)


def test_revenue_is_averaged_over_the_outcomes_that_measured_it() -> None:
    """Outcomes without a figure do not dilute the mean."""
    known = Evidence(
        10,
        5,
        5,
        3,
        revenue_total=90.0,
        revenue_count=3,
        revenue_accounts=3,
        largest_revenue_count=1,
    )
    assert PublicationRule(3).mean_revenue(known) == 30.0


def test_one_accounts_revenue_is_not_published_with_others_outcomes() -> None:
    """Ten accounts observed and two measured, or one measured most of it: nothing is told."""
    few = Evidence(
        10,
        5,
        10,
        1,
        revenue_total=90.0,
        revenue_count=2,
        revenue_accounts=2,
        largest_revenue_count=1,
    )
    dominated = replace(few, revenue_count=5, revenue_accounts=3, largest_revenue_count=3)
    assert PublicationRule(3).mean_revenue(few) is None
    assert PublicationRule(3).mean_revenue(dominated) is None
    assert PublicationRule(3).mean_revenue(Evidence()) is None
