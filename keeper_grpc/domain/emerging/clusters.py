"""Incremental clustering on the unit sphere: each sighting joins the nearest centre, or starts one.

"Leader" clustering (Hartigan, Clustering Algorithms, 1975, chapter 3) with moving centres. A cluster
needs only the sum S of its n unit vectors: its centre is S / |S|, and the mean cosine of its members
to that centre is |S| / n. The search for the nearest centre is exact (docs/adr/0009).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]

BLOCK = 4_000_000
"""Similarities held at once while a batch is assigned: 16 MB."""

LANES = 64
"""Widths are rounded up to a multiple of this, so that matrix rows stay aligned."""


class Clusters:
    """The clusters of one pattern type within one embedding model, as sums of unit vectors.

    `threshold` is the least cosine between a sighting and the centre that it joins. Trailing zeros,
    with which narrow models are padded, are not kept.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._ids: list[UUID] = []
        self._rows: dict[UUID, int] = {}
        self._counts: list[int] = []
        self._length = 0
        self._sums: Vector = np.empty((0, 0), np.float32)
        self._lengths: Vector = np.empty(0, np.float32)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, cluster_id: UUID) -> bool:
        return cluster_id in self._rows

    @property
    def width(self) -> int:
        """Number of leading components that hold all non-zero values so far, rounded up."""
        return int(self._sums.shape[1])

    def restore(self, cluster_id: UUID, total: Vector, count: int) -> None:
        """Restore a cluster from storage: the sum of its members' vectors, and their number."""
        self._append(cluster_id, self._fitted(total), count)

    def assign(self, vectors: Sequence[Vector], new_id: Callable[[], UUID]) -> list[UUID]:
        """Assign sightings in order, each to the nearest cluster or to a new one; returns the clusters.

        Equal to assigning them one by one, but the centres are read once for many sightings: when a
        vector v joins the sum S, each later vector u has u.(S + v) = u.S + u.v.
        """
        assigned: list[UUID] = []
        fitted = [self._fitted(vector) for vector in vectors]
        while len(assigned) < len(fitted):
            size = max(1, BLOCK // (len(self) + len(fitted)))
            rows = np.zeros((len(fitted[len(assigned) :][:size]), self.width), np.float32)
            for row, vector in zip(rows, fitted[len(assigned) :], strict=False):
                row[: len(vector)] = vector
            assigned.extend(self._assign_block(rows, new_id))
        return assigned

    def add(self, cluster_id: UUID, vector: Vector) -> None:
        """Add a sighting to this cluster, which need not be the nearest and is created if missing."""
        fitted = self._fitted(vector)
        if cluster_id in self._rows:
            self._change(self._rows[cluster_id], fitted, 1)
        else:
            self._append(cluster_id, fitted, 1)

    def remove(self, cluster_id: UUID, vectors: Sequence[Vector]) -> None:
        """Remove sightings from their cluster; the last one removes the cluster."""
        for vector in vectors:
            self._change(self._rows[cluster_id], -self._fitted(vector), -1)
        if self._counts[self._rows[cluster_id]] == 0:
            self._drop(cluster_id)

    def total(self, cluster_id: UUID) -> Vector:
        """The sum of the members' vectors, as wide as they came."""
        row = self._rows[cluster_id]
        total = np.zeros(self._length, np.float32)
        width = min(self.width, self._length)
        total[:width] = self._sums[row, :width]
        return total

    def centre(self, cluster_id: UUID) -> Vector:
        """The cluster's centre, of unit length and as wide as the vectors came."""
        centre = self.total(cluster_id)
        centre /= max(self._lengths[self._rows[cluster_id]], np.float32(1e-30))
        return centre

    def mean_similarity(self, cluster_id: UUID) -> float:
        """Mean cosine of the members to the centre: |S| / n, at most 1 up to rounding."""
        row = self._rows[cluster_id]
        return min(1.0, float(self._lengths[row]) / self._counts[row])

    def near(self, vectors: Sequence[Vector], least: float) -> set[UUID]:
        """The clusters whose centres have a cosine of at least `least` to one of these unit vectors."""
        # Components beyond the width are zero in every sum.
        rows = np.stack(vectors)[:, : self.width]
        known = len(self)
        similarities = rows @ self._sums[:known, : rows.shape[1]].T / self._lengths[:known]
        return {self._ids[row] for row in np.flatnonzero(np.any(similarities >= least, axis=0))}

    def _assign_block(self, vectors: Vector, new_id: Callable[[], UUID]) -> list[UUID]:
        known = len(self)
        products = np.empty((len(vectors), known + len(vectors)), np.float32)
        np.matmul(vectors, self._sums[:known].T, out=products[:, :known])
        mutual = vectors @ vectors.T
        assigned = []
        for position, vector in enumerate(vectors):
            row = self._nearest(products[position])
            if row is None:
                row = len(self)
                self._append(new_id(), vector, 1)
                products[:, row] = mutual[:, position]
            else:
                self._change(row, vector, 1)
                products[:, row] += mutual[:, position]
            assigned.append(self._ids[row])
        return assigned

    def _nearest(self, products: Vector) -> int | None:
        """The row of the nearest centre, if near enough, from a vector's products with all sums."""
        if not self._ids:
            return None
        similarities = products[: len(self)] / self._lengths[: len(self)]
        nearest = int(np.argmax(similarities))
        return nearest if similarities[nearest] >= self._threshold else None

    def _fitted(self, vector: Vector) -> Vector:
        """The vector without its padding; widens the matrix when the vector does not fit."""
        self._length = max(self._length, len(vector))
        if np.any(vector[self.width :]):
            used = int(np.flatnonzero(vector)[-1]) + 1
            self._reshape(len(self._sums), -(-used // LANES) * LANES)
        return vector[: self.width]

    def _append(self, cluster_id: UUID, total: Vector, count: int) -> None:
        row = len(self._ids)
        if row >= len(self._sums):
            # Growing by a quarter keeps the amortized cost of a cluster constant.
            self._reshape(max(16, row + row // 4), self.width)
        self._ids.append(cluster_id)
        self._rows[cluster_id] = row
        self._counts.append(0)
        self._sums[row] = 0
        self._change(row, total, count)

    def _change(self, row: int, vector: Vector, count: int) -> None:
        self._sums[row, : len(vector)] += vector
        self._counts[row] += count
        self._lengths[row] = max(np.linalg.norm(self._sums[row]), np.float32(1e-30))

    def _drop(self, cluster_id: UUID) -> None:
        """Fill the gap with the last row, so that rows stay dense."""
        row, last = self._rows.pop(cluster_id), len(self._ids) - 1
        if row != last:
            self._ids[row] = self._ids[last]
            self._rows[self._ids[row]] = row
            self._counts[row] = self._counts[last]
            self._sums[row] = self._sums[last]
            self._lengths[row] = self._lengths[last]
        self._ids.pop()
        self._counts.pop()

    def _reshape(self, capacity: int, width: int) -> None:
        sums = np.zeros((capacity, width), np.float32)
        sums[: len(self._sums), : self.width] = self._sums
        lengths = np.zeros(capacity, np.float32)
        lengths[: len(self._lengths)] = self._lengths
        self._sums, self._lengths = sums, lengths
