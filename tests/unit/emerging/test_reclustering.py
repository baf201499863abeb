from __future__ import annotations

from collections import Counter
from itertools import count
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from keeper_grpc.domain.emerging.reclustering import Stopped, adjusted_rand, kept_ids, recluster

Labels = NDArray[np.int64]

clusterings = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60
).map(lambda pairs: np.array(pairs, np.int64).T)


def around(directions: int, members: int, spread: float) -> tuple[NDArray[np.float32], Labels]:
    """Unit vectors around orthogonal directions, in random order, and which one each is of."""
    chance = np.random.default_rng(4)
    truth = chance.permutation(np.repeat(np.arange(directions), members))
    rows = np.eye(32)[truth] + spread * chance.standard_normal((len(truth), 32))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), truth


def ids(labels: Labels) -> list[UUID]:
    """Labels as the ids of clusters."""
    return [UUID(int=int(label) + 1) for label in labels]


def dense(labels: Labels) -> Labels:
    """Labels without gaps."""
    renumbered: Labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return renumbered


def test_clusters_that_are_plain_are_found() -> None:
    """The full pass finds well separated clusters exactly."""
    vectors, truth = around(10, 12, 0.05)
    assert adjusted_rand(recluster(vectors, 0.7), truth) == 1


def test_two_clusters_that_are_one_are_joined() -> None:
    """The first two sightings are too far apart for one cluster; those between belong to both."""
    east, north = np.eye(2, 8, dtype=np.float32)
    tilted = [np.cos(a) * east + np.sin(a) * north for a in np.linspace(0, 0.85, 40)]
    first = [tilted[0], tilted[-1]]
    vectors = np.stack(first + tilted[1:-1]).astype(np.float32)
    assert tilted[0] @ tilted[-1] < 0.7
    assert len(set(recluster(vectors, 0.7).tolist())) == 1


def test_a_cluster_that_drifted_apart_is_split() -> None:
    """From scratch, nothing holds sightings together that say different things."""
    vectors, truth = around(2, 10, 0.02)
    assert len(set(recluster(vectors, 0.7).tolist())) == 2
    assert adjusted_rand(recluster(vectors, 0.7), truth) == 1


def test_the_lone_sighting_and_none() -> None:
    """One vector is one cluster, no vectors are none."""
    vectors, _ = around(1, 1, 0.1)
    assert recluster(vectors, 0.7).tolist() == [0]
    assert recluster(vectors[:0], 0.7).tolist() == []


def test_a_pass_can_be_stopped() -> None:
    """A process that drains does not wait for it."""
    vectors, _ = around(4, 10, 0.1)
    asked = count()
    with pytest.raises(Stopped):
        recluster(vectors, 0.7, lambda: next(asked) == 2)


@settings(max_examples=60)
@given(clusterings)
def test_ids_are_kept_by_overlap(pair: NDArray[np.int64]) -> None:
    """Each old id is given at most once, and the largest overlap of all keeps its id."""
    before, labels = ids(pair[0]), dense(pair[1])
    made = count(100)
    after = kept_ids(before, labels, lambda: UUID(int=next(made)))
    assert len(set(after)) == len(after) == labels.max() + 1
    overlaps = Counter(zip(before, (after[label] for label in labels), strict=True))
    of_labels = Counter(zip(before, labels.tolist(), strict=True))
    kept = [overlaps[cluster_id, cluster_id] for cluster_id in set(before)]
    assert max(kept) == max(of_labels.values())


@given(clusterings)
def test_the_same_clustering_keeps_every_id(pair: NDArray[np.int64]) -> None:
    """Labels are but numbers: a pass that changes nothing moves nothing."""
    before, labels = ids(pair[0]), dense(pair[0])
    after = kept_ids(before, labels, lambda: pytest.fail("no new id is needed"))
    assert [after[label] for label in labels] == before


def test_a_split_keeps_the_id_with_the_larger_part() -> None:
    """The smaller part gets a new id, so that subscribers see one change and one newcomer."""
    before = ids(np.zeros(10, np.int64))
    labels = np.array([0] * 3 + [1] * 7)
    assert kept_ids(before, labels, lambda: UUID(int=50)) == [UUID(int=50), UUID(int=1)]


@given(clusterings)
def test_agreement_is_symmetric_and_at_most_one(pair: NDArray[np.int64]) -> None:
    """The adjusted Rand index does not care which clustering comes first, nor for names."""
    one, other = pair
    value = adjusted_rand(one, other)
    assert value == pytest.approx(adjusted_rand(other, one))
    assert value == pytest.approx(adjusted_rand(7 - one, other))
    assert value <= 1 + 1e-12
    assert adjusted_rand(one, one) == 1


def test_agreement_of_a_known_example() -> None:
    """By hand: of 15 pairs, 1 is together in both, 4 in the one and 3 in the other."""
    one, other = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    together, first, second, pairs = 1, 4, 3, 15
    expected = first * second / pairs
    assert adjusted_rand(one, other) == pytest.approx(
        (together - expected) / ((first + second) / 2 - expected)
    )
