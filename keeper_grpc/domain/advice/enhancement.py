"""One application of the network's knowledge to one account's insight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.advice.authored import AuthoredAdvice
from keeper_grpc.domain.advice.exploration import ChosenPattern, ChosenScript
from keeper_grpc.domain.advice.ranking import Miss, NoMatch, Scored
from keeper_grpc.domain.evidence.expectation import Basis
from keeper_grpc.domain.insight import AnonymizationReport, AnonymizedInsight, JsonValue
from keeper_grpc.domain.patterns.pattern import Pattern, Scope


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as patterns are searched for it: unit vector of its sentence, the account that asks and its owner,
    and the situation.
    """

    scope: Scope
    vector: NDArray[np.float32]
    account_key: str
    owner_key: str
    conditions: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Advice:
    """What the best pattern says.

    `script` is the wording that is handed out: the proven one, unless wordings are explored. `chosen` is how the
    pattern was chosen; None where there was nothing to choose from.
    """

    best: Scored
    confidence: float
    script: ChosenScript
    network_context: str
    typical_revenue: float | None
    explanation: str
    chosen: ChosenPattern | None = None

    @property
    def exploration_loss(self) -> float:
        """The success that drawing pattern and script was expected to cost: 0 where the best known was given anyway.

        Negative where what could be drawn was expected to succeed more often than what is surest.
        """
        return (self.chosen.expected_loss if self.chosen else 0.0) + self.script.expected_loss


@dataclass(frozen=True, slots=True)
class Enhancement:
    """The answer: advice, or the reason why there is none and what came closest; then perhaps what an author
    advises.

    In a holdout there is advice that the account is not told.
    """

    enhancement_id: UUID
    insight: AnonymizedInsight
    advice: Advice | None
    no_match: NoMatch | None
    closest: Miss | None
    anonymization: AnonymizationReport
    created_at: datetime
    authored: AuthoredAdvice | None = None


@dataclass(frozen=True, slots=True)
class EnhancementRecord:
    """What is written about an enhancement, with the sighting that it is.

    `scope` and `account_key` are of who asked; `vector` is of the question, None where the embedding model did not answer:
    then it is no sighting. `withheld_advice` and `withheld_authored` are what an account in the holdout would have been told; `holdout_share`
    is the chance of that, where there is advice; `seen_time` is when the account noticed what it asks about.
    """

    enhancement: Enhancement
    withheld_advice: Advice | None
    holdout_share: float
    scope: Scope
    account_key: str
    vector: NDArray[np.float32] | None
    seen_time: datetime
    withheld_authored: AuthoredAdvice | None = None


@dataclass(frozen=True, slots=True)
class HandedOut:
    """An enhancement as it is remembered, and its pattern as the account may see it now.

    `insight` is the account's own question. `pattern`
    is None where the account was given no advice, and where the pattern is gone; else `script` is the
    wording that was given with it, and `authored` says that it was given as its author's, not as proven.
    `basis` says what the expected rate was made of; None where nothing proven was advised.
    """

    enhancement_id: UUID
    scope: Scope
    insight: AnonymizedInsight
    pattern: Pattern | None
    similarity: float
    expected_success_rate: float
    script: str
    created_at: datetime
    authored: bool = False
    basis: Basis | None = None

    @property
    def acted_on(self) -> AnonymizedInsight:
        """What the account did, as the ledger words it: the situation was its own, the rest advice."""
        if self.pattern is None:
            return self.insight
        return replace(self.insight, action=self.pattern.action, script=self.script)

    @property
    def foreign(self) -> bool:
        """Whether the advice came from another category than the account's."""
        return (
            self.pattern is not None
            and self.pattern.scope.business_category != self.scope.business_category
        )
