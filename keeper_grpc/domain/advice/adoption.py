"""The adoption funnel: how much of the advice that was shown was accepted, dismissed and done.

Owners are weighed by what they were shown, as in their evidence, so that one of them does not make a
pattern look popular or refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keeper_grpc.domain.advice.reaction import DismissalReason
from keeper_grpc.domain.evidence.evidence import cut_weights
from keeper_grpc.domain.evidence.publication import PublicationRule


@dataclass(frozen=True, slots=True)
class OwnReactions:
    """One owner's advice by how far it came.

    `accepted` includes what is `done`; `reasons` are of the `dismissed`, where one was given.
    """

    shown: int
    accepted: int = 0
    dismissed: int = 0
    done: int = 0
    reasons: Mapping[DismissalReason, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Adoption:
    """The funnel as it may be shown. `owners` is how many it was shown to."""

    shown: int
    accepted: int
    dismissed: int
    done: int
    owners: int
    dismissals: Sequence[tuple[DismissalReason, int]] = ()

    @property
    def rate(self) -> float:
        """The share of what was shown that was accepted."""
        return self.accepted / self.shown if self.shown else 0.0


def adoption(owners: Sequence[OwnReactions], rule: PublicationRule) -> Adoption | None:
    """The funnel of these owners' advice, or None where fewer than k were shown any.

    A reason that fewer than k of them gave is not told.
    """
    held = [own for own in owners if own.shown > 0]
    if len(held) < rule.k:
        return None
    weights = [
        weight / own.shown
        for weight, own in zip(cut_weights([own.shown for own in held], rule.k), held, strict=True)
    ]
    shown = int(_sum(weights, [own.shown for own in held]) + _ROUNDING)
    givers = Counter(reason for own in held for reason, count in own.reasons.items() if count)
    dismissals = [
        (reason, _nearest(weights, [own.reasons.get(reason, 0) for own in held]))
        for reason, given_by in givers.items()
        if given_by >= rule.k
    ]
    # Rounded on their own, two that share the whole could come to one more than it.
    accepted = min(_nearest(weights, [own.accepted for own in held]), shown)
    return Adoption(
        shown=shown,
        accepted=accepted,
        dismissed=min(_nearest(weights, [own.dismissed for own in held]), shown - accepted),
        done=min(_nearest(weights, [own.done for own in held]), accepted),
        owners=len(held),
        dismissals=sorted(dismissals, key=lambda pair: (-pair[1], pair[0].value)),
    )


_ROUNDING = 1e-9
"""Sums of weights err by less; a whole number must not be rounded down to the one before."""


def _sum(weights: Sequence[float], counts: Sequence[int]) -> float:
    return sum(weight * count for weight, count in zip(weights, counts, strict=True))


def _nearest(weights: Sequence[float], counts: Sequence[int]) -> int:
    return int(_sum(weights, counts) + 0.5 + _ROUNDING)
