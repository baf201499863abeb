"""Patterns that say the same: those that one model told apart and another one does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from keeper_grpc.domain.accounts.forgetting import Centre
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.domain.patterns.pattern import Neighbour, merge_target

NEIGHBOURS = 20
"""Nearest patterns that are compared, as for a capture."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A pattern of one scope, and where it lies."""

    pattern_id: UUID
    action: str
    centre: Centre
    authored: bool
    retired: bool


def duplicates(patterns: Sequence[Placed], thresholds: Thresholds) -> Iterator[tuple[UUID, UUID]]:
    """The patterns that are to be merged, each with the earlier one that it goes into.

    Each is compared with those before it as a capture would be. Two of the catalog stay two, and what was
    retired stays apart from what was not.
    """
    if not patterns:
        return
    sentences = np.stack([each.centre.sentence for each in patterns]).astype(np.float64)
    actions = np.stack([each.centre.action for each in patterns]).astype(np.float64)
    sums = [
        [
            sentences[number] * each.centre.sentence_weight,
            actions[number] * each.centre.action_weight,
        ]
        for number, each in enumerate(patterns)
    ]
    kept: list[int] = []
    for number, pattern in enumerate(patterns):
        others = np.array(
            [
                other
                for other in kept
                if patterns[other].retired == pattern.retired
                and not (patterns[other].authored and pattern.authored)
            ],
            dtype=np.intp,
        )
        similar = sentences[others] @ sentences[number]
        nearest = np.argsort(-similar)[:NEIGHBOURS]
        target = merge_target(
            pattern.action,
            [
                Neighbour(
                    patterns[others[place]].pattern_id,
                    patterns[others[place]].action,
                    float(similar[place]),
                    float(actions[others[place]] @ actions[number]),
                )
                for place in nearest
            ],
            thresholds,
        )
        if target is None:
            kept.append(number)
            continue
        into = next(
            int(others[place])
            for place in nearest
            if patterns[others[place]].pattern_id == target.pattern_id
        )
        # The next ones meet both.
        for place, vectors in enumerate((sentences, actions)):
            sums[into][place] = sums[into][place] + sums[number][place]
            vectors[into] = sums[into][place] / np.linalg.norm(sums[into][place])
        yield pattern.pattern_id, target.pattern_id
