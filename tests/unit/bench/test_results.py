"""What is told to be worse than the last results."""

from __future__ import annotations

import pytest

from bench.calls.measure import Row
from bench.calls.results import Result, compare


def row(ratio: float, spread: float = 0.02) -> Row:
    """A measurement of this ratio to the floor."""
    return Row(
        patterns=1_000,
        name="EnhanceInsight",
        callers=16,
        per_second=1_000 * ratio,
        floor_per_second=1_000,
        ratio=ratio,
        spread=spread,
        p50=1,
        p99=2,
        cpu_ms=1,
        floor_cpu_ms=0.3,
        database_cpu_ms=1,
        generator_cpu_ms=0.2,
    )


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (row(0.40), row(0.30), True),
        (row(0.40), row(0.36), False),
        (row(0.40), row(0.50), False),
        (row(0.40, spread=0.3), row(0.30), False),
        (row(0.40), row(0.30, spread=0.3), False),
    ],
)
def test_what_got_worse_beyond_the_noise_is_told(
    capsys: pytest.CaptureFixture[str], before: Row, now: Row, told: bool
) -> None:
    """By ratios, and by the noise of both runs."""
    compare(Result([now], {}, 1), Result([before], {}, 1))
    said = capsys.readouterr().out
    assert ("worse: EnhanceInsight" in said) is told
    assert ("nothing is worse" in said) is not told


def test_a_call_that_is_new_is_not_compared(capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to be worse than."""
    compare(Result([row(0.1)], {}, 1), Result([], {}, 1))
    assert "nothing is worse" in capsys.readouterr().out
