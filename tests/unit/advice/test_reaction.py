from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.advice.reaction import GivenAdvice, Reaction, replaces
from keeper_grpc.domain.errors import AlreadyDone

SHOWN, ACCEPTED, DISMISSED, DONE = Reaction


def standing(reported: Sequence[Reaction]) -> Reaction | None:
    """The reaction that stands after these; what is refused changes nothing."""
    stands: Reaction | None = None
    for reaction in reported:
        try:
            if replaces(GivenAdvice(advised=True, reaction=stands), reaction):
                stands = reaction
        except AlreadyDone:
            continue
    return stands


@pytest.mark.parametrize(
    ("reported", "stands"),
    [
        ([SHOWN], SHOWN),
        ([SHOWN, ACCEPTED, DONE], DONE),
        ([DONE], DONE),
        ([ACCEPTED, SHOWN], ACCEPTED),
        ([DISMISSED, SHOWN], DISMISSED),
        ([DISMISSED, ACCEPTED], ACCEPTED),
        ([ACCEPTED, DISMISSED], DISMISSED),
        ([DISMISSED, DONE], DONE),
        ([DONE, ACCEPTED], DONE),
        ([DONE, SHOWN], DONE),
    ],
)
def test_a_later_reaction_replaces_where_it_says_more(
    reported: Sequence[Reaction], stands: Reaction
) -> None:
    """People change their minds; showing again and late reports change nothing."""
    assert standing(reported) is stands


def test_what_is_done_cannot_be_dismissed() -> None:
    """The caller learns that its two reports contradict each other."""
    with pytest.raises(AlreadyDone):
        replaces(GivenAdvice(advised=True, reaction=DONE), DISMISSED)


@pytest.mark.parametrize("stands", [None, SHOWN, ACCEPTED, DISMISSED, DONE])
def test_what_has_an_outcome_cannot_be_dismissed(stands: Reaction | None) -> None:
    """Its outcome counts for the advice; to have shown, accepted or done it contradicts nothing."""
    advice = GivenAdvice(advised=True, reaction=stands, followed=True)
    with pytest.raises(AlreadyDone):
        replaces(advice, DISMISSED)
    for reaction in (SHOWN, ACCEPTED, DONE):
        replaces(advice, reaction)


@given(st.lists(st.sampled_from(Reaction), min_size=1))
def test_what_stands_is_done_or_the_last_decision_or_shown(reported: Sequence[Reaction]) -> None:
    """In whatever order reports come."""
    decisions = [reaction for reaction in reported if reaction is not SHOWN]
    expected = DONE if DONE in reported else decisions[-1] if decisions else SHOWN
    assert standing(reported) is expected
