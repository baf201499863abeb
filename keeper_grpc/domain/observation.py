"""The ledger's entries: every (insight, outcome) that ever arrived, anonymized."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.insight import AnonymizationReport, AnonymizedInsight, Outcome
from keeper_grpc.domain.patterns.pattern import PatternKey, Scope


class Disposition(Enum):
    """How an observation was stored."""

    CREATED = "created"
    MERGED = "merged"
    WITHHELD = "withheld"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class Observation:
    """One anonymized (insight, outcome) of one account: a line of the ledger.

    `similarity` is the cosine to the pattern it merged into, else 0: the distance to an unpublished
    pattern is not revealed. `enhancement_id` is the advice that was followed, `instead_of` the one that was not.
    """

    observation_id: UUID
    account_key: str
    request_id: UUID
    fingerprint: bytes
    scope: Scope
    insight: AnonymizedInsight
    report: AnonymizationReport
    outcome: Outcome
    disposition: Disposition
    pattern_id: UUID | None
    similarity: float
    occurred_time: datetime
    recorded_time: datetime
    enhancement_id: UUID | None = None
    instead_of: UUID | None = None

    @property
    def pattern_key(self) -> PatternKey | None:
        """The pattern that it is evidence of, in its scope."""
        if self.pattern_id is None:
            return None
        return PatternKey(self.scope.scope_id, self.pattern_id)


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """The capture of an account with this request_id."""

    request_id: UUID


@dataclass(frozen=True, slots=True)
class Standing:
    """The outcome that the ledger has of an enhancement or a capture, and where it counts."""

    observation_id: UUID
    scope: Scope
    pattern_id: UUID | None
    final: bool

    @property
    def key(self) -> PatternKey | None:
        """The pattern that it is evidence of."""
        if self.pattern_id is None:
            return None
        return PatternKey(self.scope.scope_id, self.pattern_id)


@dataclass(frozen=True, slots=True)
class Revision:
    """A later outcome of an observation, in the place of an interim one."""

    observation_id: UUID
    scope_id: int
    account_key: str
    request_id: UUID
    fingerprint: bytes
    outcome: Outcome
    occurred_time: datetime
    recorded_time: datetime


@dataclass(frozen=True, slots=True)
class Vectors:
    """Of one insight: the sentence that says all of it, and its action alone."""

    sentence: NDArray[np.float32]
    action: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recorded:
    """The stored result of a first attempt, for its retry."""

    fingerprint: bytes
    pattern: PatternKey | None
    disposition: Disposition
    similarity: float
    anonymization: AnonymizationReport
