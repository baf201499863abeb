from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.advice.holdout import in_holdout

shares = st.floats(0, 1)


@given(st.text(), st.text(), shares)
def test_asking_again_does_not_change_the_answer(account: str, rendered: str, share: float) -> None:
    """It depends on the account, the insight and the share alone."""
    assert in_holdout(account, rendered, share) == in_holdout(account, rendered, share)


@given(st.text(), st.text(), shares, shares)
def test_a_larger_share_contains_a_smaller_one(
    account: str, rendered: str, one: float, other: float
) -> None:
    """Who was left alone stays so when the share is raised."""
    if in_holdout(account, rendered, min(one, other)):
        assert in_holdout(account, rendered, max(one, other))


@given(st.text(), st.text())
def test_no_share_is_nobody_and_all_is_everybody(account: str, rendered: str) -> None:
    """The ends are exact."""
    assert not in_holdout(account, rendered, 0.0)
    assert in_holdout(account, rendered, 1.0)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_share_is_met_over_accounts_and_over_insights(share: float) -> None:
    """Of 5,000 either way, within 3 points."""
    accounts = sum(in_holdout(f"a{n}", "When it rains", share) for n in range(5000))
    insights = sum(in_holdout("a", f"When it rains {n}", share) for n in range(5000))
    assert accounts / 5000 == pytest.approx(share, abs=0.03)
    assert insights / 5000 == pytest.approx(share, abs=0.03)
