"""EnhanceInsight: what the other accounts know about one account's insight.

Anonymize, embed, fetch the nearest patterns of the account's category, rank, boost, record. The
asking account's own evidence is subtracted before anything is judged or shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from keeper_grpc.domain.account import Account
from keeper_grpc.domain.enhancement import Advice, Enhancement, EnhancementRecord
from keeper_grpc.domain.evidence import boost
from keeper_grpc.domain.insight import AnonymizedInsight, Identifiers, Insight
from keeper_grpc.domain.pattern import Scope
from keeper_grpc.domain.publication import PublicationRule
from keeper_grpc.domain.ranking import (
    DEFAULT_MIN_OCCURRENCES,
    DEFAULT_MIN_SUCCESS_RATE,
    Candidate,
    Requirements,
    context_line,
    explain,
    rank,
)
from keeper_grpc.usecases.accounts import Accounts
from keeper_grpc.usecases.ports import Anonymizes, Clock, Embeds, NewId, Vector

CANDIDATES = 20
"""Nearest patterns to rank. The score multiplies similarity with a rate of at least 0.6 or so: one
that is beaten by twenty nearer ones could not win by its rate."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the caller asks. None in the last two means the source design's defaults."""

    account_id: str
    insight: Insight
    identifiers: Identifiers
    min_success_rate: float | None = None
    min_occurrences: int | None = None


class CandidateStore(Protocol):
    """Where patterns are found."""

    async def candidates(
        self, scope: Scope, vector: Vector, account_key: str, requirements: Requirements, limit: int
    ) -> Sequence[Candidate]:
        """The nearest patterns that may meet the requirements, without the account's own evidence.

        When none does, the nearest ones of any kind, so that the answer can say why.
        """


class EnhancementStore(Protocol):
    """Where enhancements are recorded."""

    async def record_enhancement(self, record: EnhancementRecord) -> None:
        """Write the enhancement, and show it to the emerging-pattern detector, in one transaction."""


class EnhanceInsight:
    """The use case. One instance serves all calls."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        anonymizer: Anonymizes,
        embedder: Embeds,
        patterns: CandidateStore,
        enhancements: EnhancementStore,
        rule: PublicationRule,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._accounts = accounts
        self._anonymizer = anonymizer
        self._embedder = embedder
        self._patterns = patterns
        self._enhancements = enhancements
        self._rule = rule
        self._clock = clock
        self._new_id = new_id

    async def __call__(self, question: Question) -> Enhancement:
        """Enhance one insight.

        Raises AccountCategoryUnknown, AccountCategoryConflict, EmbedderUnavailable and
        StorageUnavailable.
        """
        anonymized = self._anonymizer.anonymize(question.insight, question.identifiers)
        account = await self._accounts.resolve(
            question.account_id, anonymized.insight.business_category
        )
        insight = anonymized.insight.in_category(account.business_category)
        scope = Scope(insight.type, insight.business_category, self._embedder.model)
        vector = (await self._embedder.embed([insight.render()]))[0]
        requirements = self._requirements(question)
        candidates = await self._patterns.candidates(
            scope, vector, account.key, requirements, CANDIDATES
        )
        ranking = rank(candidates, requirements)
        enhancement = Enhancement(
            enhancement_id=self._new_id(),
            insight=insight,
            advice=self._advice(ranking.best, insight) if ranking.best else None,
            no_match=ranking.no_match,
            anonymization=anonymized.report,
        )
        await self._record(enhancement, account, scope, vector)
        return enhancement

    def _requirements(self, question: Question) -> Requirements:
        return Requirements(
            min_similarity=self._embedder.thresholds.retrieval,
            rule=self._rule,
            min_success_rate=DEFAULT_MIN_SUCCESS_RATE
            if question.min_success_rate is None
            else question.min_success_rate,
            min_occurrences=DEFAULT_MIN_OCCURRENCES
            if question.min_occurrences is None
            else question.min_occurrences,
        )

    def _advice(self, best: Candidate, insight: AnonymizedInsight) -> Advice:
        return Advice(
            candidate=best,
            confidence=boost(insight.confidence, best.pattern.evidence.success_rate),
            proven_script=best.pattern.proven_script(self._rule),
            network_context=context_line(best),
            explanation=explain(best),
        )

    async def _record(
        self, enhancement: Enhancement, account: Account, scope: Scope, vector: Vector
    ) -> None:
        await self._enhancements.record_enhancement(
            EnhancementRecord(
                enhancement=enhancement,
                account_key=account.key,
                scope=scope,
                vector=vector,
                created_at=self._clock(),
            )
        )
