"""Owners' shares of a pattern, drawn at random."""

from __future__ import annotations

from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import Share


@st.composite
def share(draw: st.DrawFn, most: int = 1000) -> Share:
    """One owner's outcomes, some of them old."""
    trials = draw(st.integers(1, most))
    successes = draw(st.integers(0, trials))
    age = draw(st.sampled_from([1.0, 0.5, 0.01]))
    counted = draw(st.integers(0, trials))
    return Share(
        trials,
        successes,
        trials * age,
        successes * age,
        revenue_total=counted * draw(st.floats(-1e4, 1e4)),
        revenue_count=counted,
    )


def owners(least: int = 1, most: int = 12) -> st.SearchStrategy[dict[str, Share]]:
    """Some owners' shares by key."""
    return st.lists(share(), min_size=least, max_size=most).map(
        lambda shares: {f"owner {n}": share for n, share in enumerate(shares)}
    )
