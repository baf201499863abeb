"""One application of the network's knowledge to one account's insight."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.insight import AnonymizationReport, AnonymizedInsight
from keeper_grpc.domain.pattern import Scope
from keeper_grpc.domain.ranking import Candidate, NoMatch


@dataclass(frozen=True, slots=True)
class Advice:
    """What the best pattern says."""

    candidate: Candidate
    confidence: float
    proven_script: str
    network_context: str
    explanation: str


@dataclass(frozen=True, slots=True)
class Enhancement:
    """The answer: advice, or the reason why there is none."""

    enhancement_id: UUID
    insight: AnonymizedInsight
    advice: Advice | None
    no_match: NoMatch | None
    anonymization: AnonymizationReport


@dataclass(frozen=True, slots=True)
class EnhancementRecord:
    """What is written about an enhancement, with the sighting that it is."""

    enhancement: Enhancement
    account_key: str
    scope: Scope
    vector: NDArray[np.float32]
    created_at: datetime
