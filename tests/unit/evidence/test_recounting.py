from __future__ import annotations

from itertools import chain, groupby
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.recounting import TOGETHER, in_parts
from keeper_grpc.domain.patterns.pattern import PatternKey


@given(st.dictionaries(st.integers(-3, 3), st.integers(0, 2 * TOGETHER + 1)))
def test_parts_are_of_one_scope_and_hold_every_pattern_once(numbers: dict[int, int]) -> None:
    """No part is empty, larger than is recounted at once, or of two scopes, whose locks would be taken in any order."""
    keys = [
        PatternKey(scope, UUID(int=number)) for scope, of in numbers.items() for number in range(of)
    ]
    parts = list(in_parts(keys))
    assert list(chain(*parts)) == keys
    for part in parts:
        assert 1 <= len(part) <= TOGETHER
        assert len(list(groupby(part, key=lambda key: key.scope_id))) == 1
