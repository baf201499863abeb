from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.emerging.novelty import (
    DISCOVERY,
    ROUTINE,
    Known,
    NoveltyScale,
    portions,
)
from keeper_grpc.domain.patterns.merging.similarity import Thresholds


@given(st.lists(st.integers(0, 12)), st.integers(1, 20))
def test_portions_are_bounded_and_complete(costs: list[int], most: int) -> None:
    """Each key once, in order; no portion costs more than it may unless a single key does."""
    numbered = dict(enumerate(costs))
    parts = list(portions(numbered, most))
    assert [key for part in parts for key in part] == list(numbered)
    for part in parts:
        assert part
        assert len(part) == 1 or sum(numbered[key] for key in part) <= most


SCALE = NoveltyScale(
    action_routine=0.7, action_variation=0.4, sentence_same=0.9, sentence_other=0.5
)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (Known(), 1.0),
        (Known(distance=0.1, action_distance=0.0), 0.0),
        (Known(distance=0.1, action_distance=0.3), ROUTINE),
        (Known(distance=0.1, action_distance=0.6), DISCOVERY),
        (Known(distance=0.0, action_distance=1.3), 1.0),
        (Known(distance=0.1), 0.0),
        (Known(distance=0.3), 0.5),
        (Known(distance=0.9), 1.0),
    ],
)
def test_novelty_is_read_from_the_models_own_scale(known: Known, expected: float) -> None:
    """By the actions; by the sentences where there are none; nothing known is wholly new."""
    assert SCALE.novelty(known) == pytest.approx(expected)


@given(st.floats(-1e-6, 2.000001), st.floats(-1e-6, 2.000001))
def test_what_is_farther_is_not_less_novel(one: float, other: float) -> None:
    """And it stays within [0, 1], however cosines were rounded."""
    near, far = sorted((one, other))
    for by in (Known(near), Known(far)), (Known(0.1, near), Known(0.1, far)):
        less, more = map(SCALE.novelty, by)
        assert 0 <= less <= more <= 1


def test_a_model_that_is_not_calibrated_has_a_scale() -> None:
    """By what its actions and its retrieval go by."""
    thresholds = Thresholds(merge=0.95, cluster=0.85, retrieval=0.4)
    assert NoveltyScale.of(thresholds) == NoveltyScale(0.8, 0.4, 0.95, 0.4)
