from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.emerging import (
    RENEWAL,
    Change,
    ClusterChange,
    Emergence,
    EmergingPattern,
    FeedFilter,
    State,
    novelty,
    transition,
    worth_telling,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EMERGENCE = Emergence(min_accounts=3, min_similarity=0.7)
SHOWN = EmergingPattern(
    emerging_pattern_id=UUID(int=1),
    pattern_type="service_demand",
    embedding_model="model",
    business_categories=("gym", "spa"),
    common_pattern="When time of day is evening, offer a soak (service demand, spa).",
    account_count=3,
    sighting_count=5,
    mean_similarity=0.7,
    mean_confidence=0.5,
    total_potential_value=100.0,
    first_seen_time=NOW - timedelta(days=2),
    last_seen_time=NOW - timedelta(hours=1),
)
FEW = replace(SHOWN, account_count=2)
LOOSE = replace(SHOWN, mean_similarity=0.69)
PROVEN = replace(SHOWN, promoted_pattern_id=UUID(int=9))
PROVEN_FEW = replace(FEW, promoted_pattern_id=UUID(int=9))

TABLE = [
    # before, cluster now, state after, what subscribers are told
    (State.FORMING, None, State.FORMING, None),
    (State.FORMING, FEW, State.FORMING, None),
    (State.FORMING, LOOSE, State.FORMING, None),
    (State.FORMING, PROVEN_FEW, State.FORMING, None),
    (State.FORMING, SHOWN, State.EMERGING, Change.NEW),
    (State.FORMING, PROVEN, State.PROMOTED, None),
    (State.EMERGING, None, State.FORMING, Change.FADED),
    (State.EMERGING, FEW, State.FORMING, Change.FADED),
    (State.EMERGING, LOOSE, State.FORMING, Change.FADED),
    (State.EMERGING, PROVEN_FEW, State.FORMING, Change.FADED),
    (State.EMERGING, SHOWN, State.EMERGING, Change.UPDATED),
    (State.EMERGING, PROVEN, State.PROMOTED, Change.PROMOTED),
    (State.PROMOTED, None, State.FORMING, None),
    (State.PROMOTED, FEW, State.PROMOTED, None),
    (State.PROMOTED, LOOSE, State.PROMOTED, None),
    (State.PROMOTED, PROVEN_FEW, State.PROMOTED, None),
    (State.PROMOTED, SHOWN, State.PROMOTED, None),
    (State.PROMOTED, PROVEN, State.PROMOTED, None),
]


@pytest.mark.parametrize(("before", "cluster", "after", "change"), TABLE)
def test_the_life_of_a_cluster(
    before: State, cluster: EmergingPattern | None, after: State, change: Change | None
) -> None:
    """Every state meets every kind of cluster: the whole table."""
    assert transition(before, cluster, EMERGENCE) == (after, change)


def test_the_table_is_complete() -> None:
    """Each state is paired with each kind of cluster once."""
    kinds = [None, FEW, LOOSE, PROVEN_FEW, SHOWN, PROVEN]
    assert [(row[0], row[1]) for row in TABLE] == [(s, k) for s in State for k in kinds]


@pytest.mark.parametrize(
    ("change", "left", "told"),
    [
        (Change.NEW, SHOWN, SHOWN),
        (Change.UPDATED, SHOWN, SHOWN),
        (Change.PROMOTED, PROVEN, PROVEN),
        (Change.FADED, FEW, SHOWN),
        (Change.FADED, None, SHOWN),
    ],
)
def test_what_faded_is_told_as_it_was(
    change: Change, left: EmergingPattern | None, told: EmergingPattern
) -> None:
    """What is left of a cluster that faded is told to nobody; all else is told as it is."""
    assert ClusterChange(SHOWN.emerging_pattern_id, left, SHOWN, State.FORMING, change).told == told


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (FeedFilter(), True),
        (FeedFilter(pattern_type="service_demand"), True),
        (FeedFilter(pattern_type="pricing"), False),
        (FeedFilter(business_category="gym"), True),
        (FeedFilter(business_category="salon"), False),
        (FeedFilter(min_accounts=3), True),
        (FeedFilter(min_accounts=4), False),
        (FeedFilter(min_similarity=0.7), True),
        (FeedFilter(min_similarity=0.71), False),
        (FeedFilter(window=timedelta(hours=1)), True),
        (FeedFilter(window=timedelta(minutes=59)), False),
    ],
)
def test_each_filter_holds_at_its_limit(wanted: FeedFilter, matches: bool) -> None:
    """Every filter lets exactly its limit pass."""
    assert wanted.matches(SHOWN, NOW) is matches


def test_only_news_is_told() -> None:
    """A renewal within a minute is none; anything else that a subscriber sees is, or the first word."""
    assert worth_telling(None, SHOWN)
    assert not worth_telling(SHOWN, SHOWN)
    soon = SHOWN.last_seen_time + RENEWAL
    assert not worth_telling(SHOWN, replace(SHOWN, last_seen_time=soon - timedelta(seconds=1)))
    assert worth_telling(SHOWN, replace(SHOWN, last_seen_time=soon))
    assert worth_telling(SHOWN, replace(SHOWN, sighting_count=6))
    assert not worth_telling(SHOWN, replace(SHOWN, growth_rate=0.9, novelty=0.1))
    assert worth_telling(SHOWN, replace(SHOWN, account_count=4, last_seen_time=soon))


@given(st.one_of(st.none(), st.floats(-1e-6, 2.000001)))
def test_novelty_is_bounded(distance: float | None) -> None:
    """Rounding and opposite directions do not lead out of [0, 1]."""
    assert 0 <= novelty(distance) <= 1


@pytest.mark.parametrize(("distance", "expected"), [(None, 1), (0, 0), (0.25, 0.25), (2, 1)])
def test_novelty_is_the_distance_to_what_is_known(distance: float | None, expected: float) -> None:
    """Nothing known is wholly novel, the same is not novel at all."""
    assert novelty(distance) == expected
