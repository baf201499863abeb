from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.history import WEEK, WeekShare, periods

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
RULE = PublicationRule(3)

shares = st.builds(
    lambda week, account, trials, successes: WeekShare(
        MONDAY + week * WEEK, f"account-{account}", trials, min(successes, trials)
    ),
    st.integers(0, 12),
    st.integers(0, 6),
    st.integers(1, 5),
    st.integers(0, 5),
)


@given(st.lists(shares, max_size=40, unique_by=lambda share: (share.week, share.owner_key)))
def test_every_period_may_be_published_and_none_is_left_out(found: list[WeekShare]) -> None:
    """Periods are disjoint and in order, leave no week out, and tell of too few accounts never."""
    made = periods(found, RULE)
    for period in made:
        accounts = {share.owner_key for share in found if period.start <= share.week < period.end}
        assert len(accounts) >= RULE.k
    for before, after in pairwise(made):
        assert before.end <= after.start
    if made:
        assert made[0].start <= min(share.week for share in found)
        assert made[-1].end > max(share.week for share in found)
        assert all(period.successes <= period.trials for period in made)
    else:
        assert len({share.owner_key for share in found}) < RULE.k


def test_weeks_are_joined_until_enough_accounts_took_part() -> None:
    """Two weeks of one account each are told with the third, and a lonely fourth with them."""
    found = [WeekShare(MONDAY + n * WEEK, f"account-{n % 3}", 1, 1) for n in range(4)]
    (period,) = periods(found, RULE)
    assert (period.start, period.end) == (MONDAY, MONDAY + 4 * WEEK)
    assert (period.trials, period.successes) == (3, 3)


def test_a_busy_account_does_not_make_a_period_its_own() -> None:
    """Ten failures of one account beside a success each of two others weigh as one."""
    week = [WeekShare(MONDAY, f"account-{n}", 10 if n == 0 else 1, int(n > 0)) for n in range(3)]
    (period,) = periods(week, RULE)
    assert (period.trials, period.successes) == (3, 2)
