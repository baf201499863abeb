from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import Share
from keeper_grpc.domain.evidence.guardrails import Harm, Limits, OwnHarms, crossed

K = 3
LIMITS = Limits()
LOSS, GAIN = OwnHarms(costed=1, net_revenue=-10.0), OwnHarms(costed=1, net_revenue=10.0)


def judged(harms: Sequence[OwnHarms], revenues: Sequence[float] = ()) -> tuple[Harm, ...]:
    """What these owners' reports cross; others measured revenue only."""
    shares = {
        f"other {number}": Share(1, 1, revenue_total=revenue, revenue_count=1)
        for number, revenue in enumerate(revenues)
    }
    return crossed(_owned(harms), shares, LIMITS, K)


def _owned(harms: Sequence[OwnHarms]) -> Mapping[str, OwnHarms]:
    return {f"owner {number}": own for number, own in enumerate(harms)}


@pytest.mark.parametrize(
    ("losing", "gaining", "out"),
    [
        (2, 0, False),
        (3, 0, True),
        (4, 0, True),
        (3, 1, False),
        (5, 0, True),
        (4, 1, True),
        (4, 2, False),
        (7, 4, False),
        (8, 4, True),
    ],
)
def test_losses_are_decided_by_the_sign_test(losing: int, gaining: int, *, out: bool) -> None:
    """With 80% certainty; of three or four owners all must lose. One that breaks even has no vote."""
    even = OwnHarms(costed=3)
    found = judged([LOSS] * losing + [GAIN] * gaining + [even] * 2)
    assert found == ((Harm.LOSSES,) if out else ())


def test_no_sum_outweighs_the_owners() -> None:
    """One vote each, whatever it reports."""
    huge = OwnHarms(costed=1000, net_revenue=-1e15)
    assert judged([GAIN] * 4 + [huge]) == ()
    lucky = OwnHarms(costed=1000, net_revenue=1e15)
    assert judged([LOSS] * 9 + [lucky]) == (Harm.LOSSES,)


def test_who_knows_the_cost_decides() -> None:
    """Revenue before cost is no gain where k owners know better."""
    assert judged([LOSS] * 3, revenues=[50.0] * 20) == (Harm.LOSSES,)
    assert judged([LOSS] * 2, revenues=[50.0] * 20) == ()
    assert judged([], revenues=[-50.0] * 3) == (Harm.LOSSES,)


def test_a_rate_within_its_limit_is_no_harm() -> None:
    """A complaint in a hundred is under two."""
    assert judged([OwnHarms(complaint_known=100, complaints=1)] * 20) == ()
    assert judged([OwnHarms(complaint_known=100, complaints=6)] * 20) == (Harm.COMPLAINTS,)
    assert judged([OwnHarms(unsubscribe_known=100, unsubscribes=4)] * 20) == ()
    assert judged([OwnHarms(unsubscribe_known=100, unsubscribes=9)] * 20) == (Harm.UNSUBSCRIBES,)


def test_newer_outcomes_outweigh_an_old_harm() -> None:
    """What crossed the limit long ago does so no more beside as many outcomes without a complaint."""
    then = OwnHarms(complaint_known=100, complaints=6)
    assert judged([then] * 20) == (Harm.COMPLAINTS,)
    old, new = then.aged(16.0), OwnHarms(complaint_known=100)
    since = OwnHarms(old.complaint_known + new.complaint_known, old.complaints)
    assert judged([since] * 20) == ()


def test_a_loss_of_long_ago_has_no_vote() -> None:
    """One loss decides for two half-lives, ten for longer."""
    assert judged([LOSS.aged(4.0)] * 3) == (Harm.LOSSES,)
    assert judged([LOSS.aged(4.1)] * 3) == ()
    ten = OwnHarms(costed=10, net_revenue=-100.0)
    assert judged([ten.aged(32.0)] * 3) == (Harm.LOSSES,)


counts = st.integers(0, 40)


@st.composite
def own_harms(draw: st.DrawFn) -> OwnHarms:
    """Whatever one owner may report."""
    complaint_known, unsubscribe_known = draw(counts), draw(counts)
    costed = draw(counts)
    return OwnHarms(
        complaint_known,
        draw(st.integers(0, complaint_known)),
        unsubscribe_known,
        draw(st.integers(0, unsubscribe_known)),
        costed,
        draw(st.floats(-1e9, 1e9)) if costed else 0.0,
    )


@given(own_harms(), st.integers(2, 12))
def test_one_owner_among_harmless_ones_crosses_nothing(one: OwnHarms, others: int) -> None:
    """Whatever it reports."""
    harmless = OwnHarms(5, 0, 5, 0, 5, 50.0)
    assert judged([harmless] * others + [one]) == ()


@given(st.lists(own_harms(), max_size=K - 1))
def test_fewer_than_k_owners_cross_nothing(owners: Sequence[OwnHarms]) -> None:
    """What so few report is never told."""
    assert judged(owners) == ()
