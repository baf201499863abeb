"""What forgetting an account did: numbers for the privacy officer, never an account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.insight import EmbeddedWords
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.withdrawal import WithdrawalReason


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed, and what became of the aggregates that it was part of.

    `patterns_unpublished` lost too much support to be shown; `patterns_deleted` had no other.
    """

    observations_removed: int = 0
    enhancements_removed: int = 0
    sightings_removed: int = 0
    scripts_removed: int = 0
    patterns_recomputed: int = 0
    patterns_unpublished: int = 0
    patterns_deleted: int = 0

    def plus(self, other: Forgotten) -> Forgotten:
        """Both together."""
        mine, theirs = asdict(self), asdict(other)
        return Forgotten(**{name: mine[name] + theirs[name] for name in mine})

    def counts(self) -> Mapping[str, int]:
        """By name, for the audit event."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stays of a forgotten account until then, by its keyed hash: no call but an operator's adds it."""

    key: str
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class Remainder:
    """What a pattern consists of without one account: each distinct wording, and how often.

    Reports repeat a pattern's words and add none: they are not among the wordings. Where no wording is
    left, an authored pattern consists of its author's, another of its first report's.
    """

    embedding_model: str
    wordings: tuple[tuple[EmbeddedWords, int], ...]


@dataclass(frozen=True, slots=True)
class Centre:
    """Where a pattern lies: unit vectors of sentence and action, and the lengths of their sums."""

    sentence: NDArray[np.float32]
    sentence_weight: float
    action: NDArray[np.float32]
    action_weight: float

    @classmethod
    def of(cls, counted: Iterable[tuple[Vectors, int]]) -> Centre:
        """The mean directions of at least one wording's vectors, each as often as it occurs."""
        vectors, counts = zip(*counted, strict=True)
        weights = np.array(counts, np.float64)
        return cls(
            *_mean(np.stack([each.sentence for each in vectors]), weights),
            *_mean(np.stack([each.action for each in vectors]), weights),
        )


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One thing that an operator did. `details` are counts, `actor` is the name of the operator's identity.

    `pattern_id` is the pattern that it was about, if any, and `reason` why that was withdrawn.
    """

    event_id: UUID
    action: str
    details: Mapping[str, int]
    created_at: datetime
    pattern_id: UUID | None = None
    reason: WithdrawalReason | None = None
    actor: str = field(kw_only=True)


def _mean(
    vectors: NDArray[np.float32], counts: NDArray[np.float64]
) -> tuple[NDArray[np.float32], float]:
    """The direction and the length of the vectors' weighted sum."""
    total = counts @ vectors.astype(np.float64)
    length = float(np.linalg.norm(total))
    return (total / length).astype(np.float32), length
