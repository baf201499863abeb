"""Which pattern each observation of a group belongs to, in arrival order, as if each were placed by itself.

What a search found is what lay there before the group. Earlier observations of the group begin patterns and turn
those that they join, so what they changed is compared here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.domain.patterns.pattern import Neighbour, merge_target
from keeper_grpc.domain.patterns.position import Position

NEIGHBOURS = 20
"""Nearest patterns to consider. More than one, because the nearest may be an opposite, or another
action in the same situation."""


class Places:
    """Where the patterns of one scope lie while a group is placed among them.

    `found` lay nearest to each of the vectors before the group: NEIGHBOURS and one more for each observation but the
    first, as far as there are so many.
    """

    def __init__(
        self, vectors: Sequence[Vectors] = (), found: Sequence[Sequence[Neighbour]] = ()
    ) -> None:
        # By identity: they are arrays, and the group holds them.
        self._found = {id(each): near for each, near in zip(vectors, found, strict=True)}
        self._known: dict[UUID, Position] = {}
        self._changed: dict[UUID, str] = {}
        self.created: dict[UUID, Position] = {}
        """Where each new pattern lies by now."""

    @property
    def moved(self) -> Mapping[UUID, Position]:
        """Where each older pattern lies that was joined."""
        return {
            pattern_id: self._known[pattern_id]
            for pattern_id in self._changed
            if pattern_id not in self.created
        }

    def unknown(self, pattern_ids: Collection[UUID]) -> list[UUID]:
        """Those whose position is not known yet: nothing joins them before it is."""
        return [
            each for each in pattern_ids if each not in self._known and each not in self.created
        ]

    def likely(self, asked: Sequence[tuple[str, Vectors]], thresholds: Thresholds) -> list[UUID]:
        """Unknown ones that observations with these actions would join if they came alone."""
        targets = (
            merge_target(action, self.near(vectors), thresholds) for action, vectors in asked
        )
        return self.unknown({target.pattern_id for target in targets if target is not None})

    def know(self, positions: Mapping[UUID, Position]) -> None:
        """Where patterns lay before the group."""
        for pattern_id, position in positions.items():
            self._known.setdefault(pattern_id, position)

    def near(self, vectors: Vectors) -> list[Neighbour]:
        """The nearest patterns by now, nearest first."""
        near = [each for each in self._found[id(vectors)] if each.pattern_id not in self._changed]
        for pattern_id, action in self._changed.items():
            position = self.created.get(pattern_id) or self._known[pattern_id]
            near.append(Neighbour(pattern_id, action, *position.similarity(vectors)))
        near.sort(key=lambda each: -each.similarity)
        return near[:NEIGHBOURS]

    def join(self, target: Neighbour, vectors: Vectors) -> None:
        """Turn a pattern, whose position is known, towards an observation that belongs to it."""
        if target.pattern_id in self.created:
            self.created[target.pattern_id] = self.created[target.pattern_id].joined(vectors)
            return
        self._known[target.pattern_id] = self._known[target.pattern_id].joined(vectors)
        self._changed[target.pattern_id] = target.action

    def begin(self, pattern_id: UUID, action: str, vectors: Vectors) -> None:
        """Begin a pattern with an observation that belongs to no other."""
        self.created[pattern_id] = Position.at(vectors)
        self._changed[pattern_id] = action
