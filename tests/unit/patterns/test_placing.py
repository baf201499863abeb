from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.domain.patterns.pattern import Neighbour, merge_target
from keeper_grpc.domain.patterns.placing import NEIGHBOURS, Places
from keeper_grpc.domain.patterns.position import Position

THRESHOLDS = Thresholds(merge=0.8, cluster=0.7, retrieval=0.4)
WIDTH = 8


def vectors(direction: int, turn: float, seed: int) -> Vectors:
    """Of a sentence and an action near one of some directions."""
    chance = np.random.default_rng(seed)

    def unit() -> NDArray[np.float32]:
        made = np.zeros(WIDTH)
        made[direction] = 1
        made += turn * chance.standard_normal(WIDTH)
        return (made / np.linalg.norm(made)).astype(np.float32)

    return Vectors(unit(), unit())


class Scope:
    """The patterns of a scope, as the database has them: exact search, and positions."""

    def __init__(self) -> None:
        self.patterns: dict[UUID, tuple[str, Position]] = {}
        self._next = 0

    def new_id(self) -> UUID:
        self._next += 1
        return UUID(int=self._next)

    def nearest(self, one: Vectors, limit: int) -> list[Neighbour]:
        found = [
            Neighbour(pattern_id, action, *position.similarity(one))
            for pattern_id, (action, position) in self.patterns.items()
        ]
        return sorted(found, key=lambda each: -each.similarity)[:limit]

    def write(self, group: Sequence[tuple[str, Vectors]]) -> list[UUID]:
        """Place a group, and keep where it leaves the patterns."""
        found = [self.nearest(one, NEIGHBOURS + len(group) - 1) for _, one in group]
        places = Places([one for _, one in group], found)
        likely = places.likely(group, THRESHOLDS)
        places.know({each: self.patterns[each][1] for each in likely})
        placed = []
        for action, one in group:
            target = merge_target(action, places.near(one), THRESHOLDS)
            if target is None:
                pattern_id = self.new_id()
                places.begin(pattern_id, action, one)
                self.patterns[pattern_id] = action, places.created[pattern_id]
            else:
                pattern_id = target.pattern_id
                unknown = places.unknown([pattern_id])
                places.know({each: self.patterns[each][1] for each in unknown})
                places.join(target, one)
            placed.append(pattern_id)
        for pattern_id, position in {**places.created, **places.moved}.items():
            self.patterns[pattern_id] = self.patterns[pattern_id][0], position
        return placed


observed = st.lists(
    st.tuples(
        st.sampled_from(
            ["Send the guest a reminder", "Offer a package of massages", "Raise the prices by 10%"]
        ),
        st.builds(
            vectors, st.integers(0, 3), st.sampled_from([0.0, 0.05, 0.2, 0.4]), st.integers(0, 50)
        ),
    ),
    max_size=30,
)


@given(observed, st.lists(st.integers(1, 8)))
def test_a_group_is_placed_as_its_observations_one_by_one(
    came: list[tuple[str, Vectors]], sizes: list[int]
) -> None:
    """However observations are cut into groups, the same become one pattern, at the same place."""
    alone, grouped = Scope(), Scope()
    placed_alone = [alone.write([each])[0] for each in came]
    placed = []
    rest = came
    for size in [*sizes, len(came) or 1]:
        placed += grouped.write(rest[:size])
        rest = rest[size:]
    assert placed == placed_alone
    for pattern_id, (action, position) in alone.patterns.items():
        other_action, other = grouped.patterns[pattern_id]
        assert other_action == action
        assert np.allclose(other.sentence, position.sentence, atol=1e-6)
        assert np.allclose(other.action, position.action, atol=1e-6)
        assert np.isclose(other.sentence_weight, position.sentence_weight)
        assert np.isclose(other.action_weight, position.action_weight)


def test_the_second_of_a_group_joins_the_pattern_that_the_first_begins() -> None:
    """So identical observations that come at once are one pattern."""
    scope = Scope()
    one = vectors(0, 0.0, 0)
    assert len(set(scope.write([("Send the guest a reminder", one)] * 5))) == 1
    assert len(scope.patterns) == 1
