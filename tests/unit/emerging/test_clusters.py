from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keeper_grpc.domain.emerging.clusters import Clusters

Vector = NDArray[np.float32]
WIDTH = 8


def units(seed: int, count: int, spread: float) -> list[Vector]:
    """Unit vectors around a few directions, so that some of them share a cluster."""
    chance = np.random.default_rng(seed)
    topics = chance.standard_normal((4, WIDTH))
    rows = topics[chance.integers(0, 4, count)] + spread * chance.standard_normal((count, WIDTH))
    return [(row / np.linalg.norm(row)).astype(np.float32) for row in rows]


def numbers(start: int = 1) -> Callable[[], UUID]:
    """New ids: start, start + 1, ..."""
    following = count(start)
    return lambda: UUID(int=next(following))


def join(clusters: Clusters, vector: Vector, new_id: int) -> UUID:
    """Assign one sighting."""
    return clusters.assign([vector], numbers(new_id))[0]


def assigned(vectors: Sequence[Vector], clusters: Clusters) -> dict[UUID, list[int]]:
    """Assign all; the members (as positions) of each cluster."""
    members: dict[UUID, list[int]] = {}
    for position, cluster_id in enumerate(clusters.assign(vectors, numbers())):
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
    assert join(clusters, east, 1) == UUID(int=1)
    assert join(clusters, north, 2) == UUID(int=2)
    nearer_north = np.float32(0.6) * east + np.float32(0.8) * north
    assert join(clusters, nearer_north, 3) == UUID(int=2)
    exact = Clusters(float(np.float32(0.6)))
    join(exact, east, 1)
    assert join(exact, nearer_north, 2) == UUID(int=1)
    above = Clusters(0.61)
    join(above, east, 1)
    assert join(above, nearer_north, 2) == UUID(int=2)


def test_rows_stay_dense_and_are_reused() -> None:
    """A dropped cluster leaves no ghost: the last row moves up and still answers for itself."""
    rows = np.eye(WIDTH, dtype=np.float32)
    clusters = Clusters(0.9)
    for number, row in enumerate(rows, start=1):
        join(clusters, row, number)
    clusters.remove(UUID(int=1), [rows[0]])
    assert UUID(int=1) not in clusters
    assert len(clusters) == WIDTH - 1
    np.testing.assert_array_equal(clusters.centre(UUID(int=WIDTH)), rows[-1])
    assert join(clusters, rows[-1], 99) == UUID(int=WIDTH)
    assert join(clusters, rows[0], 50) == UUID(int=50)
    np.testing.assert_array_equal(clusters.centre(UUID(int=50)), rows[0])


def test_growth_keeps_every_cluster() -> None:
    """Beyond the first capacity of rows, all clusters are still found."""
    rows = np.eye(100, dtype=np.float32)
    clusters = Clusters(0.9)
    for number, row in enumerate(rows):
        join(clusters, row, number)
    assert [join(clusters, row, 999).int for row in rows] == list(range(100))


def test_a_restored_cluster_goes_on_where_it_was() -> None:
    """Sum and count from storage are all that the next leader needs."""
    vectors = units(7, 20, 0.1)
    before = Clusters(0.7)
    members = assigned(vectors, before)
    after = Clusters(0.7)
    for key, positions in members.items():
        after.restore(key, np.stack([vectors[i] for i in positions]).sum(axis=0), len(positions))
    check(after, vectors, members)


def test_an_account_of_one_sighting_is_its_own_centre() -> None:
    """The mean similarity of one member is one, never above it by rounding."""
    clusters = Clusters(0.7)
    join(clusters, units(1, 1, 1.0)[0], 1)
    assert clusters.mean_similarity(UUID(int=1)) == pytest.approx(1)
    assert clusters.mean_similarity(UUID(int=1)) <= 1


@settings(max_examples=40)
@given(examples)
def test_a_batch_is_assigned_as_its_sightings_would_be_one_by_one(
    example: tuple[int, int, float],
) -> None:
    """Reading the centres once for many sightings changes nothing: same clusters, same sums."""
    vectors = units(*example)
    known, new = vectors[: len(vectors) // 3], vectors[len(vectors) // 3 :]
    at_once, one_by_one = Clusters(0.7), Clusters(0.7)
    ids, other_ids = numbers(), numbers()
    for clusters, new_id in ((at_once, ids), (one_by_one, other_ids)):
        clusters.assign(known, new_id)
    together = at_once.assign(new, ids)
    assert together == [one_by_one.assign([vector], other_ids)[0] for vector in new]
    for cluster_id in set(together):
        np.testing.assert_allclose(
            at_once.centre(cluster_id), one_by_one.centre(cluster_id), atol=1e-5
        )


def test_a_batch_larger_than_a_block_is_assigned_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks bound the memory; every sighting of every block gets its cluster."""
    monkeypatch.setattr("keeper_grpc.domain.emerging.clusters.BLOCK", 100)
    vectors = units(3, 60, 0.2)
    clusters = Clusters(0.7)
    check(clusters, vectors, assigned(vectors, clusters))


def test_padding_is_not_kept_but_comes_back() -> None:
    """Trailing zeros take no memory, centres are as wide as the vectors, wider ones widen them."""
    padded = np.zeros(1536, np.float32)
    padded[3] = 1
    clusters = Clusters(0.7)
    first = join(clusters, padded, 1)
    assert clusters.width == 64
    np.testing.assert_array_equal(clusters.centre(first), padded)
    wide = np.zeros(1536, np.float32)
    wide[1000] = 1
    second = join(clusters, wide, 2)
    assert (first, second) == (UUID(int=1), UUID(int=2))
    assert clusters.width == 1024
    np.testing.assert_array_equal(clusters.centre(first), padded)
    np.testing.assert_array_equal(clusters.centre(second), wide)


def test_a_sighting_can_be_put_into_a_cluster_that_is_not_the_nearest() -> None:
    """The full pass decides where it goes, also into a cluster that does not exist yet."""
    vectors = units(5, 10, 0.2)
    clusters = Clusters(0.7)
    for vector in vectors:
        clusters.add(UUID(int=1), vector)
    check(clusters, vectors, {UUID(int=1): list(range(10))})
    clusters.remove(UUID(int=1), vectors[:5])
    for vector in vectors[:5]:
        clusters.add(UUID(int=2), vector)
    check(clusters, vectors, {UUID(int=1): [5, 6, 7, 8, 9], UUID(int=2): [0, 1, 2, 3, 4]})


@settings(max_examples=40)
@given(examples)
def test_centres_near_a_pattern_are_found(example: tuple[int, int, float]) -> None:
    """Those that brute force finds, also for a pattern that is wider than every sighting."""
    vectors = units(*example)
    clusters = Clusters(0.7)
    ids = set(clusters.assign(vectors, numbers()))
    patterns = units(example[0] + 1, 3, 0.2)
    wider = [np.append(pattern, np.ones(200, np.float32)) for pattern in patterns]
    expected = {
        cluster_id
        for cluster_id in ids
        if max(float(p @ clusters.centre(cluster_id)) for p in patterns) >= 0.8
    }
    assert clusters.near(patterns, 0.8) == expected
    assert clusters.near(wider, 0.8) == expected
