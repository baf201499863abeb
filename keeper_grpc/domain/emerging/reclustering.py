"""The full pass: the window clustered from scratch, to correct what the order of sightings did.

Spherical DP-means (Kulis and Jordan, Revisiting k-means, ICML 2012): begin with leader clustering,
then move every sighting to its nearest centre, start clusters from those that are near none, join
clusters that have become one, and repeat until hardly anything moves. All similarities are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.emerging.clusters import Clusters

Labels = NDArray[np.int64]
Matrix = NDArray[np.float32]

MAX_ROUNDS = 8
"""Maximum rounds of a pass; the next pass continues from its result."""

SETTLED = 0.001
"""The pass ends when at most this share of sightings moves in a round."""

BLOCK = 4_000_000
"""Similarities held at once: 16 MB."""

LEADER_BATCH = 500
"""Sightings between checks of `stop` during leader clustering."""


class Stopped(Exception):
    """The caller has cancelled the pass."""


def never() -> bool:
    """A `stop` that never cancels."""
    return False


def recluster(vectors: Matrix, threshold: float, stop: Callable[[], bool] = never) -> Labels:
    """Labels 0, 1, ... of the clusters of unit `vectors` (n, width), which come oldest first.

    Each vector is in the cluster whose centre is nearest, at `threshold` or above when it joined.
    `stop` is checked between blocks of some ten milliseconds. Raises Stopped.
    """
    labels = _lead(vectors, threshold, stop)
    for _ in range(MAX_ROUNDS):
        joined = _joined(vectors, labels, threshold, stop)
        moved = _nearest(vectors, joined, threshold, stop)
        settled = np.count_nonzero(moved != joined) <= SETTLED * len(labels)
        same = joined.max(initial=-1) == labels.max(initial=-1)
        labels = _dense(moved)
        if settled and same:
            break
    return labels


def kept_ids(before: Sequence[UUID], labels: Labels, new_id: Callable[[], UUID]) -> list[UUID]:
    """The id of each new cluster: that of the old cluster with which it shares most sightings.

    `before` and `labels` are each sighting's old and new cluster. Each old id is assigned once, the
    largest overlap first; a cluster without one gets a new id.
    """
    known = list(dict.fromkeys(before))
    number = {cluster_id: position for position, cluster_id in enumerate(known)}
    old = np.array([number[cluster_id] for cluster_id in before], np.int64)
    pairs, overlaps = np.unique(np.stack([old, labels]), axis=1, return_counts=True)
    ids: dict[int, UUID] = {}
    taken: set[int] = set()
    for column in np.argsort(-overlaps, kind="stable"):
        was, now = (int(label) for label in pairs[:, column])
        if was not in taken and now not in ids:
            ids[now] = known[was]
            taken.add(was)
    return [ids.get(label) or new_id() for label in range(int(labels.max(initial=-1)) + 1)]


def adjusted_rand(one: Labels, other: Labels) -> float:
    """The adjusted Rand index of two clusterings of the same items: 1 if equal, 0 on average by chance.

    Hubert and Arabie, Comparing partitions, Journal of Classification 2, 1985, equation 5.
    """
    _, together = np.unique(np.stack([one, other]), axis=1, return_counts=True)
    both, first, second, all_pairs = (
        float((counts * (counts - 1.0)).sum() / 2)
        for counts in (
            together,
            np.unique(one, return_counts=True)[1],
            np.unique(other, return_counts=True)[1],
            np.array([len(one)]),
        )
    )
    expected = first * second / all_pairs if all_pairs else 0.0
    most = (first + second) / 2
    return (both - expected) / (most - expected) if most != expected else 1.0


def _lead(vectors: Matrix, threshold: float, stop: Callable[[], bool]) -> Labels:
    """Leader clustering, equal to the detector's assignment of one sighting after the other."""
    clusters = Clusters(threshold)
    rows: dict[UUID, int] = {}
    labels = np.empty(len(vectors), np.int64)

    def number() -> UUID:
        made = UUID(int=len(rows))
        rows[made] = len(rows)
        return made

    for start in range(0, len(vectors), LEADER_BATCH):
        _check(stop)
        batch = vectors[start : start + LEADER_BATCH]
        labels[start : start + len(batch)] = [
            rows[made] for made in clusters.assign(list(batch), number)
        ]
    return labels


def _joined(vectors: Matrix, labels: Labels, threshold: float, stop: Callable[[], bool]) -> Labels:
    """Merge clusters that are mutually nearest and similar enough on average.

    The mean cosine between the members of two clusters is the product of their sums over the product
    of their sizes: average linkage's criterion, which does not chain.
    """
    sums, counts = _sums(vectors, labels)
    centres = _units(sums)
    nearest, similarity = _best(centres, centres, stop, itself=False)
    into = np.arange(len(centres))
    for row in np.flatnonzero(similarity >= threshold):
        other = int(nearest[row])
        if row < other and nearest[other] == row:
            across = float(sums[row] @ sums[other]) / (counts[row] * counts[other])
            if across >= threshold:
                into[other] = row
    return _dense(into[labels])


def _nearest(vectors: Matrix, labels: Labels, threshold: float, stop: Callable[[], bool]) -> Labels:
    """Each vector's nearest centre; vectors near none form clusters among themselves."""
    sums, _ = _sums(vectors, labels)
    moved, similarity = _best(vectors, _units(sums), stop)
    far = np.flatnonzero(similarity < threshold)
    if len(far):
        moved[far] = len(sums) + _lead(vectors[far], threshold, stop)
    return moved


def _best(
    vectors: Matrix, centres: Matrix, stop: Callable[[], bool], *, itself: bool = True
) -> tuple[Labels, Matrix]:
    """The nearest centre of each vector, and its cosine. Not `itself`: except the one of its row."""
    nearest = np.zeros(len(vectors), np.int64)
    similarity = np.full(len(vectors), -1, np.float32)
    block = max(1, BLOCK // max(1, len(centres)))
    for start in range(0, len(vectors), block):
        _check(stop)
        products = vectors[start : start + block] @ centres.T
        rows = np.arange(len(products))
        if not itself:
            products[rows, start + rows] = -1
        nearest[start : start + block] = products.argmax(axis=1)
        similarity[start : start + block] = products[rows, nearest[start : start + block]]
    return nearest, similarity


def _sums(vectors: Matrix, labels: Labels) -> tuple[Matrix, Labels]:
    """The sum of each cluster's vectors, and their number."""
    # A tenth of a second of CPU, for the process that leads the detection, in the thread of a full pass.
    from scipy.sparse import csr_array  # noqa: PLC0415

    count = int(labels.max(initial=-1)) + 1
    members = csr_array(
        (np.ones(len(labels), np.float32), (labels, np.arange(len(labels)))),
        shape=(count, len(labels)),
    )
    return members @ vectors, np.bincount(labels, minlength=count)


def _units(sums: Matrix) -> Matrix:
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    units: Matrix = sums / np.maximum(lengths, np.float32(1e-30))
    return units


def _dense(labels: Labels) -> Labels:
    """The same clustering with labels 0, 1, ... and none left out."""
    dense: Labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return dense


def _check(stop: Callable[[], bool]) -> None:
    if stop():
        raise Stopped
