"""Unit vectors in one block of memory, searched exactly.

A scan of whole vectors is bound by memory: 1,536 numbers a row. So a block of some size is scanned by a few numbers
a row first: the vector's projection on the directions in which the block's vectors differ most, and the length of what
the projection leaves out. By Cauchy and Schwarz no cosine exceeds the product of the projections by more than the
product of those lengths, so that a row whose bound is below what enough others reach is out, and the cosines of all
others are computed from the whole vectors. The answer is that of a scan of everything, whatever the directions are;
good ones leave few rows to compute.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

DIRECTIONS = 64
"""Numbers by which a row is projected: with 64 some dozens of 25,000 rows are left, and a scan of them takes a
twentieth of the time that one of whole vectors takes (docs/adr/0016)."""

SCANNED_WHOLE = 768
"""Rows up to which whole vectors are scanned: to bound them first would save nothing."""

SAMPLE = 2_048
"""Rows that directions are found in."""

ROUNDS = 3
"""Power iterations by which the directions are found. They need not be the very best."""

ROUNDING = 1e-5
"""What sums in single precision may err by."""

BLOCKS = 64
"""Parts of which each brings its most promising row, to learn what the nearest reach."""

FEWER = 4
"""Whole vectors are scanned where bounds leave more than a fourth of the rows."""

MOST_ONCE = 128
"""Rows whose cosines are computed at once: with fewer, to look for what the nearest reach costs more than it saves."""

FIRST = 8
"""Of more rows, the eighth with the highest bounds comes first: what the nearest of these reach leaves few of the others,
where a rough guess leaves thousands of 25,000 (a third of the time, measured)."""


ROOM = 8
"""An eighth of the vectors that are read at once is kept free behind them: a block that is full is copied as a whole when the
next one comes, some 50 MB of a large scope, while every call waits. Memory that nothing was written to takes none."""


def with_room(vectors: int) -> int:
    """Rows for so many vectors, and for those that come."""
    return vectors + max(vectors // ROOM, 64)


class VectorBlock:
    """Unit vectors by row. A row stays where it is until it is cleared; then another vector may take it."""

    def __init__(self, width: int, rows: int = 64) -> None:
        """Of vectors of `width` numbers; `rows` are made room for at once, more as they come."""
        self._width = width
        self._vectors: Floats = np.zeros((rows, width), np.float32)
        self._held: NDArray[np.bool_] = np.zeros(rows, np.bool_)
        self._free: list[int] = []
        self._used = 0
        self._basis: Floats | None = None
        self._centre: Floats = np.zeros(width, np.float32)
        # A row's projection, the length of the rest, and its product with the centre; the last is -inf where
        # nothing is held.
        self._bounds: Floats = np.zeros((0, DIRECTIONS + 2), np.float32)

    def __len__(self) -> int:
        """Vectors that are held."""
        return self._used - len(self._free)

    @property
    def rows(self) -> int:
        """One more than the highest row that was ever taken."""
        return self._used

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._vectors.nbytes + self._held.nbytes + self._bounds.nbytes

    def add(self, vector: Floats) -> int:
        """Take a vector of the block's width, of any length but 0; the row that it has from now on."""
        row = self._free.pop() if self._free else self._next()
        self._vectors[row] = _unit(vector)
        self._held[row] = True
        if self._basis is not None:
            self._bounds[row] = _bounds(self._vectors[row : row + 1], self._centre, self._basis)[0]
        return row

    def clear(self, row: int) -> None:
        """Let go of a row's vector: nothing of it stays in memory."""
        self._vectors[row] = 0
        self._held[row] = False
        if self._basis is not None:
            self._bounds[row] = 0
            self._bounds[row, -1] = -np.inf
        self._free.append(row)

    def holds(self, row: int, vector: Floats) -> bool:
        """Whether a row holds just what it would if this vector were added."""
        return bool(self._held[row]) and np.array_equal(self._vectors[row], _unit(vector))

    def vector(self, row: int) -> Floats:
        """What a row holds."""
        found: Floats = self._vectors[row].copy()
        return found

    def prepare(self) -> None:
        """Find the directions of the vectors that are held. Takes some milliseconds; frees the interpreter."""
        if self._used <= SCANNED_WHOLE:
            return
        held = np.flatnonzero(self._held[: self._used])
        rng = np.random.default_rng(len(held))
        sample = self._vectors[
            rng.choice(held, SAMPLE, replace=False) if len(held) > SAMPLE else held
        ]
        centre = sample.mean(axis=0)
        sample = sample - centre
        basis = rng.standard_normal((self._width, min(DIRECTIONS, self._width))).astype(np.float32)
        for _ in range(ROUNDS):
            basis, _ = np.linalg.qr(sample.T @ (sample @ basis))
        basis = np.ascontiguousarray(basis, np.float32)
        bounds = np.zeros((len(self._vectors), basis.shape[1] + 2), np.float32)
        bounds[:, -1] = -np.inf
        bounds[held] = _bounds(self._vectors[held], centre, basis)
        self._centre, self._basis, self._bounds = centre, basis, bounds

    def nearest(self, vector: Floats, limit: int) -> tuple[Rows, Floats]:
        """The rows of the `limit` nearest vectors, the nearest first, and their cosines."""
        rows = self.candidates(vector, limit)
        cosines = self.cosines(vector, rows)
        if len(rows) > limit:
            best = np.argpartition(cosines, -limit)[-limit:]
            rows, cosines = rows[best], cosines[best]
        order = np.argsort(-cosines, kind="stable")
        return rows[order], cosines[order]

    def at_least(
        self, vector: Floats, cosine: float, among: NDArray[np.bool_]
    ) -> tuple[Rows, Floats]:
        """The rows `among` these, a flag for each of `rows`, with such a cosine or more; the nearest first."""
        wanted = among[: self._used] & self._held[: self._used]
        if self._basis is not None:
            wanted = wanted & (self._most(vector) >= cosine - ROUNDING)
        rows = np.flatnonzero(wanted)
        cosines = self.cosines(vector, rows)
        near = cosines >= cosine
        rows, cosines = rows[near], cosines[near]
        order = np.argsort(-cosines, kind="stable")
        return rows[order], cosines[order]

    def cosines(self, vector: Floats, rows: Rows) -> Floats:
        """The cosines of these rows and a unit vector, which may be wider than the block."""
        asked = np.ascontiguousarray(vector[: self._width], np.float32)
        if len(rows) * FEWER > self._used:
            found = (self._vectors[: self._used] @ asked)[rows]
        else:
            found = self._vectors[rows] @ asked
        cosines: Floats = np.minimum(np.maximum(found, -1.0, out=found), 1.0, out=found)
        return cosines

    def candidates(self, vector: Floats, limit: int) -> Rows:
        """Rows that the `limit` nearest are among."""
        if self._basis is None or len(self) <= limit:
            return np.flatnonzero(self._held[: self._used])
        most = self._most(vector)
        size = self._used // BLOCKS
        promising = most[: size * BLOCKS].reshape(BLOCKS, size).argmax(axis=1)
        promising += np.arange(BLOCKS) * size
        promising = promising[self._held[promising]]
        if len(promising) < limit:
            return np.flatnonzero(self._held[: self._used])
        rows = np.flatnonzero(most >= self._reached(vector, promising, limit))
        if not MOST_ONCE < len(rows) <= self._used // 2:
            return rows
        bounds = most[rows]
        first = max(len(rows) // FIRST, limit)
        nearest = rows[np.argpartition(bounds, -first)[-first:]]
        return rows[bounds >= self._reached(vector, nearest, limit)]

    def _reached(self, vector: Floats, rows: Rows, limit: int) -> float:
        """The cosine that `limit` of these rows reach, less what sums err by."""
        return float(np.partition(self.cosines(vector, rows), -limit)[-limit]) - ROUNDING

    def _most(self, vector: Floats) -> Floats:
        """What each row's cosine cannot exceed; -inf where nothing is held."""
        assert self._basis is not None  # noqa: S101 - the callers look
        asked = vector[: self._width] - self._centre
        along = self._basis.T @ asked
        across = np.sqrt(max(float(asked @ asked) - float(along @ along), 0.0))
        weights = np.concatenate([along, [across, 1.0]]).astype(np.float32)
        most: Floats = self._bounds[: self._used] @ weights
        # The row's product with the centre is in its bounds; this is the question's.
        most += float(asked @ self._centre)
        return most

    def _next(self) -> int:
        if self._used == len(self._vectors):
            more = max(len(self._vectors) // 4, 64)
            self._vectors = np.concatenate(
                [self._vectors, np.zeros((more, self._width), np.float32)]
            )
            self._held = np.concatenate([self._held, np.zeros(more, np.bool_)])
            if self._basis is not None:
                empty = np.zeros((more, self._bounds.shape[1]), np.float32)
                empty[:, -1] = -np.inf
                self._bounds = np.concatenate([self._bounds, empty])
        self._used += 1
        return self._used - 1


def _unit(vector: Floats) -> Floats:
    unit: Floats = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return unit


def _bounds(vectors: Floats, centre: Floats, basis: Floats) -> Floats:
    """Rows of `VectorBlock._bounds`."""
    around = vectors - centre
    along = around @ basis
    across = np.sqrt(np.maximum((around * around).sum(axis=1) - (along * along).sum(axis=1), 0.0))
    bounds: Floats = np.column_stack([along, across, vectors @ centre]).astype(np.float32)
    return bounds
