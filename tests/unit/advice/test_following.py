from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.storage.advice.published.following import PAUSE, POLL, rest_after


@given(st.floats(min_value=0.0, max_value=60.0))
def test_looks_for_nobody_take_a_part_of_the_time(took: float) -> None:
    """Short ones are a pause apart, longer ones rest for longer than they took, and none for longer than a poll."""
    rest = rest_after(took)
    assert 0.0 <= rest <= POLL.total_seconds()
    assert took + rest >= PAUSE
    assert rest >= min(took, POLL.total_seconds())
