from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from keeper_grpc.domain.emerging.model import (
    Change,
    ClusterChange,
    Emergence,
    EmergingPattern,
    FeedFilter,
    State,
    transition,
    worth_sending,
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
    (State.PROMOTED, FEW, State.FORMING, None),
    (State.PROMOTED, LOOSE, State.FORMING, None),
    (State.PROMOTED, PROVEN_FEW, State.PROMOTED, None),
    (State.PROMOTED, SHOWN, State.EMERGING, Change.NEW),
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
def test_a_faded_cluster_is_shown_as_it_was(
    change: Change, left: EmergingPattern | None, told: EmergingPattern
) -> None:
    """A faded cluster is shown as it was last sent, without what is left of it; every other as it is."""
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


def test_only_a_change_is_worth_sending() -> None:
    """Whatever a subscriber sees, or the first word; but not growth and novelty alone."""
    assert worth_sending(None, SHOWN)
    assert not worth_sending(SHOWN, SHOWN)
    later = SHOWN.last_seen_time + timedelta(minutes=1)
    assert worth_sending(SHOWN, replace(SHOWN, last_seen_time=later))
    assert worth_sending(SHOWN, replace(SHOWN, sighting_count=6))
    assert not worth_sending(SHOWN, replace(SHOWN, growth_rate=0.9, novelty=0.1))
    assert worth_sending(SHOWN, replace(SHOWN, account_count=4, growth_rate=0.9))
