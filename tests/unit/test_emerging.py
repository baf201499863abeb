from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keeper_grpc.domain.emerging import (
    RENEWAL,
    Change,
    Clusters,
    Emergence,
    EmergingPattern,
    FeedFilter,
    State,
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

Vector = NDArray[np.float32]
WIDTH = 8


def units(seed: int, count: int, spread: float) -> list[Vector]:
    """Unit vectors around a few directions, so that some of them share a cluster."""
    chance = np.random.default_rng(seed)
    topics = chance.standard_normal((4, WIDTH))
    rows = topics[chance.integers(0, 4, count)] + spread * chance.standard_normal((count, WIDTH))
    return [(row / np.linalg.norm(row)).astype(np.float32) for row in rows]


def assigned(vectors: Sequence[Vector], clusters: Clusters) -> dict[UUID, list[int]]:
    """Assign all; the members (as positions) of each cluster."""
    members: dict[UUID, list[int]] = {}
    for position, vector in enumerate(vectors):
        cluster_id = clusters.assign(vector, UUID(int=position + 1))
        members.setdefault(cluster_id, []).append(position)
    return members


def check(clusters: Clusters, vectors: Sequence[Vector], members: dict[UUID, list[int]]) -> None:
    """Every cluster is what brute force over its members says."""
    assert len(clusters) == len(members)
    for cluster_id, positions in members.items():
        rows = np.stack([vectors[position] for position in positions]).astype(np.float64)
        centre = rows.sum(axis=0) / np.linalg.norm(rows.sum(axis=0))
        np.testing.assert_allclose(clusters.centre(cluster_id), centre, atol=1e-4)
        assert clusters.mean_similarity(cluster_id) == pytest.approx(
            float((rows @ centre).mean()), abs=1e-4
        )


examples = st.tuples(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0.05, 0.2, 1.0]))


@settings(max_examples=40)
@given(examples)
def test_a_cluster_is_the_sum_of_its_members(example: tuple[int, int, float]) -> None:
    """Centre and mean cosine from the running sum equal those from all members."""
    vectors = units(*example)
    clusters = Clusters(0.7)
    check(clusters, vectors, assigned(vectors, clusters))


@settings(max_examples=40)
@given(examples, st.randoms(use_true_random=False))
def test_removing_is_the_inverse_of_assigning(
    example: tuple[int, int, float],
    chance: object,
) -> None:
    """What is left after some sightings expired is what brute force says of the others."""
    vectors = units(*example)
    clusters = Clusters(0.7)
    members = assigned(vectors, clusters)
    order = list(members)
    chance.shuffle(order)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    for cluster_id in order:
        gone = members[cluster_id][::2]
        kept = members[cluster_id][1::2]
        clusters.remove(cluster_id, [vectors[position] for position in gone])
        assert (cluster_id in clusters) == bool(kept)
        members[cluster_id] = kept
    check(clusters, vectors, {key: kept for key, kept in members.items() if kept})


def test_a_sighting_joins_the_nearest_cluster_at_or_above_the_threshold() -> None:
    """It joins the nearest centre, at the threshold exactly too, and below it starts its own."""
    east, north = np.eye(2, WIDTH, dtype=np.float32)
    clusters = Clusters(0.6)
    assert clusters.assign(east, UUID(int=1)) == UUID(int=1)
    assert clusters.assign(north, UUID(int=2)) == UUID(int=2)
    nearer_north = np.float32(0.6) * east + np.float32(0.8) * north
    assert clusters.assign(nearer_north, UUID(int=3)) == UUID(int=2)
    exact = Clusters(float(np.float32(0.6)))
    exact.assign(east, UUID(int=1))
    assert exact.assign(nearer_north, UUID(int=2)) == UUID(int=1)
    above = Clusters(0.61)
    above.assign(east, UUID(int=1))
    assert above.assign(nearer_north, UUID(int=2)) == UUID(int=2)


def test_rows_stay_dense_and_are_reused() -> None:
    """A dropped cluster leaves no ghost: the last row moves up and still answers for itself."""
    rows = np.eye(WIDTH, dtype=np.float32)
    clusters = Clusters(0.9)
    for number, row in enumerate(rows, start=1):
        clusters.assign(row, UUID(int=number))
    clusters.remove(UUID(int=1), [rows[0]])
    assert UUID(int=1) not in clusters
    assert len(clusters) == WIDTH - 1
    np.testing.assert_array_equal(clusters.centre(UUID(int=WIDTH)), rows[-1])
    assert clusters.assign(rows[-1], UUID(int=99)) == UUID(int=WIDTH)
    assert clusters.assign(rows[0], UUID(int=50)) == UUID(int=50)
    np.testing.assert_array_equal(clusters.centre(UUID(int=50)), rows[0])


def test_growth_keeps_every_cluster() -> None:
    """Beyond the first capacity of rows, all clusters are still found."""
    rows = np.eye(100, dtype=np.float32)
    clusters = Clusters(0.9)
    for number, row in enumerate(rows):
        clusters.assign(row, UUID(int=number))
    assert [clusters.assign(row, UUID(int=999)).int for row in rows] == list(range(100))


def test_a_restored_cluster_goes_on_where_it_was() -> None:
    """Sum and count from storage are all that the next leader needs."""
    vectors = units(7, 20, 0.1)
    before = Clusters(0.7)
    members = assigned(vectors, before)
    after = Clusters(0.7)
    after.restore(
        (key, np.sum([vectors[i] for i in positions], axis=0, dtype=np.float32), len(positions))
        for key, positions in members.items()
    )
    check(after, vectors, members)


def test_an_account_of_one_sighting_is_its_own_centre() -> None:
    """The mean similarity of one member is one, never above it by rounding."""
    clusters = Clusters(0.7)
    clusters.assign(units(1, 1, 1.0)[0], UUID(int=1))
    assert clusters.mean_similarity(UUID(int=1)) == pytest.approx(1)
    assert clusters.mean_similarity(UUID(int=1)) <= 1


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
    """A renewal within a minute is none; anything else that a subscriber sees is."""
    assert not worth_telling(SHOWN, SHOWN)
    soon = SHOWN.last_seen_time + RENEWAL
    assert not worth_telling(SHOWN, replace(SHOWN, last_seen_time=soon - timedelta(seconds=1)))
    assert worth_telling(SHOWN, replace(SHOWN, last_seen_time=soon))
    assert worth_telling(SHOWN, replace(SHOWN, sighting_count=6))
    assert worth_telling(SHOWN, replace(SHOWN, account_count=4, last_seen_time=soon))
