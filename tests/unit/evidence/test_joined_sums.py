from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.sums import Counted, Draw, PatternSums

HALF_LIFE = timedelta(days=90)

flags = st.none() | st.booleans()
observed = st.builds(
    Counted,
    account_key=st.sampled_from(["one", "two"]),
    conditions=st.sampled_from(
        [{}, {"churn_risk": "high"}, {"churn_risk": "low", "weekend": True}]
    ),
    action=st.integers(0, 20).map("act {}".format),
    script=st.sampled_from(["", "Hi", "Welcome"]),
    success=st.booleans(),
    net_revenue=st.none() | st.integers(-100, 500).map(float),
    costed=st.just(False),
    complained=flags,
    unsubscribed=flags,
    occurred_time=st.integers(0, 800).map(
        lambda day: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=day)
    ),
    own_words=st.booleans(),
    draw=st.none() | st.builds(Draw, st.sampled_from([1.5, 4.0]), st.sampled_from([0.25, 0.5])),
)


def summed(observations: list[Counted]) -> PatternSums:
    """One after the other."""
    sums = PatternSums()
    for each in observations:
        sums.add(each, HALF_LIFE)
    return sums


@given(before=st.lists(observed, max_size=25), after=st.lists(observed, max_size=25))
def test_sums_that_are_joined_are_those_of_all(before: list[Counted], after: list[Counted]) -> None:
    """Whatever was summed up before: also which wordings come first, of which only so many are kept."""
    joined, whole = summed(after), summed(before + after)
    joined.join(summed(before))
    assert (joined.observations, joined.first, joined.last) == (
        whole.observations,
        whole.first,
        whole.last,
    )
    for name in ("accounts", "facets", "scripts", "harms"):
        mine, its = getattr(joined, name), getattr(whole, name)
        assert mine.keys() == its.keys()
        for key, share in its.items():
            assert asdict(mine[key]) == pytest.approx(asdict(share))
    assert {key: list(said) for key, said in joined.wordings.items() if said} == {
        key: list(said) for key, said in whole.wordings.items() if said
    }
