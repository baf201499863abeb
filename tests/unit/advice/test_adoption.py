from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.advice.adoption import OwnReactions, adoption
from keeper_grpc.domain.advice.reaction import DismissalReason
from keeper_grpc.domain.evidence.publication import PublicationRule

RULE = PublicationRule(3)
COSTLY, LATE = DismissalReason.TOO_COSTLY, DismissalReason.TOO_LATE


@st.composite
def reactions(draw: st.DrawFn) -> OwnReactions:
    """What one owner may have done with its advice."""
    shown = draw(st.integers(0, 60))
    accepted = draw(st.integers(0, shown))
    return OwnReactions(
        shown, accepted, draw(st.integers(0, shown - accepted)), draw(st.integers(0, accepted))
    )


def test_equal_owners_are_added_up() -> None:
    """Nothing is cut where nobody dominates."""
    found = adoption([OwnReactions(4, 2, 1, 1)] * 4, RULE)
    assert found is not None
    assert (found.shown, found.accepted, found.dismissed, found.done) == (16, 8, 4, 4)
    assert (found.owners, found.rate) == (4, 0.5)


def test_fewer_than_k_owners_have_no_funnel() -> None:
    """However often the same two react; an owner without reactions is none of the k."""
    assert adoption([OwnReactions(50, 50)] * 2 + [OwnReactions(0)], RULE) is None


def test_one_owner_neither_makes_advice_popular_nor_unpopular() -> None:
    """Its weight is at most a k-th, whatever it reports."""
    honest = [OwnReactions(5, 5, 0, 5)] * 5
    flooded = adoption([*honest, OwnReactions(1000, 0, 1000)], RULE)
    assert flooded is not None
    assert flooded.rate >= 2 / 3


def test_a_reason_is_told_when_k_owners_gave_it() -> None:
    """One owner's own reason would be its words."""
    owners = [OwnReactions(2, 0, 2, 0, {COSTLY: 1, LATE: 1})] + [
        OwnReactions(1, 0, 1, 0, {COSTLY: 1})
    ] * 2
    found = adoption(owners, RULE)
    assert found is not None
    assert [reason for reason, _ in found.dismissals] == [COSTLY]


@given(st.lists(reactions(), max_size=12))
def test_the_stages_nest(owners: Sequence[OwnReactions]) -> None:
    """No more is done than accepted, no more decided than shown, and nothing beyond what was reported."""
    found = adoption(owners, RULE)
    if found is None:
        assert sum(own.shown > 0 for own in owners) < RULE.k
        return
    assert 0 <= found.done <= found.accepted
    assert 0 <= found.accepted + found.dismissed <= found.shown
    assert found.shown <= sum(own.shown for own in owners)
    assert 0.0 <= found.rate <= 1.0
