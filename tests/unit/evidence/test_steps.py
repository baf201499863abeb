from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.steps import EXACT, due

STEPS = st.integers(5, 100)


@given(st.integers(1, 10_000))
def test_without_steps_every_outcome_counts_as_it_comes(outcomes: int) -> None:
    """A step of one is none."""
    assert due(outcomes, EXACT)


@given(STEPS, st.integers(1, 10_000))
def test_no_outcome_but_the_first_begins_to_count_alone(step: int, outcomes: int) -> None:
    """Of two in a row at most one fills a step, so that what is counted then is at least two of them."""
    assert due(1, step)
    assert not (due(outcomes, step) and due(outcomes + 1, step))


@given(STEPS, st.integers(1, 10_000))
def test_no_outcome_waits_for_more_than_a_step(step: int, outcomes: int) -> None:
    """Among as many in a row as make a step there is one with which all of them count."""
    assert any(due(number, step) for number in range(outcomes, outcomes + step))
