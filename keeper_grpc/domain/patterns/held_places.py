"""Where all patterns of one scope lie, in memory: the exact nearest by now, while groups are placed among them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.domain.patterns.pattern import Neighbour
from keeper_grpc.domain.patterns.placing import NEIGHBOURS
from keeper_grpc.domain.patterns.position import Position
from keeper_grpc.domain.patterns.vector_block import VectorBlock

Floats = NDArray[np.float32]


class HeldPlaces:
    """The patterns of one scope. `width` numbers of a vector are kept: none has others than zeros behind them."""

    def __init__(self, width: int, rows: int) -> None:
        self.width = width
        self._sentences = VectorBlock(width, max(rows, 64))
        self._actions: Floats = np.zeros((max(rows, 64), width), np.float32)
        self._row_of: dict[UUID, int] = {}
        self._held: dict[int, tuple[UUID, str, float, float]] = {}
        """By row: the pattern, its first action, and the weights of its sentence and its action."""

    def __len__(self) -> int:
        """Patterns that are held."""
        return len(self._row_of)

    @property
    def nbytes(self) -> int:
        """Bytes of memory, but for what Python adds to each pattern."""
        return self._sentences.nbytes + self._actions.nbytes

    def fits(self, lies: Position | Vectors) -> bool:
        """Whether all numbers of its vectors are kept."""
        return not (lies.sentence[self.width :].any() or lies.action[self.width :].any())

    def put(self, pattern_id: UUID, action: str, position: Position) -> None:
        """Hold a pattern where it lies, or lies by now."""
        self.drop(pattern_id)
        row = self._sentences.add(position.sentence[: self.width])
        if row >= len(self._actions):
            more = max(len(self._actions) // 4, row + 1 - len(self._actions), 64)
            self._actions = np.concatenate(
                [self._actions, np.zeros((more, self.width), np.float32)]
            )
        self._actions[row] = position.action[: self.width]
        self._row_of[pattern_id] = row
        self._held[row] = (
            pattern_id,
            action,
            position.sentence_weight,
            position.action_weight,
        )

    def drop(self, pattern_id: UUID) -> None:
        """Hold nothing of a pattern."""
        row = self._row_of.pop(pattern_id, None)
        if row is not None:
            del self._held[row]
            self._sentences.clear(row)
            self._actions[row] = 0

    def prepare(self) -> None:
        """Make searches of many patterns fast. Takes some milliseconds; frees the interpreter."""
        self._sentences.prepare()

    def position(self, pattern_id: UUID) -> tuple[str, Position] | None:
        """A pattern's first action, and where it lies."""
        row = self._row_of.get(pattern_id)
        if row is None:
            return None
        _, action, sentence_weight, action_weight = self._held[row]
        return action, Position(
            self._sentences.vector(row), sentence_weight, self._actions[row].copy(), action_weight
        )

    def nearest(self, vectors: Vectors) -> list[Neighbour]:
        """The NEIGHBOURS nearest patterns, nearest first."""
        rows, cosines = self._sentences.nearest(vectors.sentence, NEIGHBOURS)
        asked = vectors.action[: self.width]
        actions = self._actions[rows] @ asked
        found = []
        for row, cosine, action_cosine in zip(
            rows.tolist(), cosines.tolist(), actions.tolist(), strict=True
        ):
            pattern_id, action, *_ = self._held[row]
            found.append(Neighbour(pattern_id, action, cosine, action_cosine))
        return found


class PlacesInMemory:
    """A scope's patterns while one group is placed among them; see domain/patterns/placing.py.

    What the group changes is changed in `held` at once, and taken back unless the group is `kept`.
    """

    def __init__(self, held: HeldPlaces, dimensions: int) -> None:
        self._held = held
        self._dimensions = dimensions
        self._before: dict[UUID, tuple[str, Position] | None] = {}
        self.created: dict[UUID, Position] = {}
        self.moved: dict[UUID, Position] = {}

    def unknown(self, pattern_ids: Collection[UUID]) -> list[UUID]:
        """None: all positions are known."""
        del pattern_ids
        return []

    def likely(self, asked: Sequence[tuple[str, Vectors]], thresholds: Thresholds) -> list[UUID]:
        """None: all positions are known."""
        del asked, thresholds
        return []

    def know(self, positions: Mapping[UUID, Position]) -> None:
        """Nothing that is not known."""

    def near(self, vectors: Vectors) -> list[Neighbour]:
        """The nearest patterns by now, nearest first."""
        return self._held.nearest(vectors)

    def join(self, target: Neighbour, vectors: Vectors) -> None:
        """Turn a pattern towards an observation that belongs to it."""
        found = self._held.position(target.pattern_id)
        assert found is not None  # noqa: S101 - it was near
        self._before.setdefault(target.pattern_id, found)
        position = _padded(found[1], self._dimensions).joined(vectors)
        changed = self.created if target.pattern_id in self.created else self.moved
        changed[target.pattern_id] = position
        self._held.put(target.pattern_id, target.action, position)

    def begin(self, pattern_id: UUID, action: str, vectors: Vectors) -> None:
        """Begin a pattern with an observation that belongs to no other."""
        self._before[pattern_id] = None
        self.created[pattern_id] = position = Position.at(vectors)
        self._held.put(pattern_id, action, position)

    def take_back(self) -> None:
        """Let all be where it was before the group."""
        for pattern_id, before in self._before.items():
            if before is None:
                self._held.drop(pattern_id)
            else:
                self._held.put(pattern_id, *before)
        self._before.clear()


def _padded(position: Position, dimensions: int) -> Position:
    def wide(vector: Floats) -> Floats:
        whole = np.zeros(dimensions, np.float32)
        whole[: len(vector)] = vector
        return whole

    return Position(
        wide(position.sentence),
        position.sentence_weight,
        wide(position.action),
        position.action_weight,
    )
