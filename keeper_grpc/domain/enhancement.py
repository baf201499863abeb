"""One application of the network's knowledge to one account's insight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.insight import AnonymizationReport, AnonymizedInsight, JsonValue
from keeper_grpc.domain.pattern import Scope
from keeper_grpc.domain.ranking import Miss, NoMatch, Scored


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as patterns are searched for it: unit vector of its sentence, who asks, and the
    situation.
    """

    scope: Scope
    vector: NDArray[np.float32]
    account_key: str
    conditions: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Advice:
    """What the best pattern says."""

    best: Scored
    confidence: float
    proven_script: str
    network_context: str
    explanation: str


@dataclass(frozen=True, slots=True)
class Enhancement:
    """The answer: advice, or the reason why there is none and what came closest.

    In a holdout there is advice that the account is not told.
    """

    enhancement_id: UUID
    insight: AnonymizedInsight
    advice: Advice | None
    no_match: NoMatch | None
    closest: Miss | None
    anonymization: AnonymizationReport
    created_at: datetime


@dataclass(frozen=True, slots=True)
class EnhancementRecord:
    """What is written about an enhancement, with the sighting that it is.

    `withheld_advice` is what an account in the holdout would have been told.
    """

    enhancement: Enhancement
    withheld_advice: Advice | None
    asked: Asked
