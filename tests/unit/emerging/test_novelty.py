from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.emerging.novelty import portions


@given(st.lists(st.integers(0, 12)), st.integers(1, 20))
def test_portions_are_bounded_and_complete(costs: list[int], most: int) -> None:
    """Each key once, in order; no portion costs more than it may unless a single key does."""
    numbered = dict(enumerate(costs))
    parts = list(portions(numbered, most))
    assert [key for part in parts for key in part] == list(numbered)
    for part in parts:
        assert part
        assert len(part) == 1 or sum(numbered[key] for key in part) <= most
