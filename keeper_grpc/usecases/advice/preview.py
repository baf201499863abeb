"""PreviewInsight: how an insight would be answered, step by step. Nobody asks, and nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.advice.authored import StoredAuthored
from keeper_grpc.domain.advice.enhancement import Asked, Enhancement, EnhancementRecord
from keeper_grpc.domain.advice.exploration import NO_EXPLORATION
from keeper_grpc.domain.advice.ranking import (
    Candidate,
    NoMatch,
    Requirements,
    Scored,
    hurdle,
    rank,
    without_harmful,
)
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.usecases.accounts.resolver import AccountResolver
from keeper_grpc.usecases.advice.enhance import CandidateStore, EnhanceInsight, Question
from keeper_grpc.usecases.ports import Anonymizes, Clock, Embeds, NewId

NOBODY = ""
"""The account that asks: none has an empty key, so all evidence counts."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The answer, and the published candidates: those that fit, best first, and the others by similarity, each with
    the requirement that it fails.
    """

    answer: Enhancement
    fit: Sequence[Scored]
    failed: Sequence[tuple[Candidate, NoMatch]]


class PreviewInsight:
    """The use case: EnhanceInsight itself, asked by nobody and recorded nowhere. One instance serves all calls.

    `embedder` is the model without its cache, which would keep a trace of the words.
    """

    def __init__(
        self,
        *,
        anonymizer: Anonymizes,
        embedder: Embeds,
        patterns: CandidateStore,
        rule: PublicationRule,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._anonymizer = anonymizer
        self._embedder = embedder
        self._patterns = patterns
        self._rule = rule
        self._clock = clock
        self._new_id = new_id

    async def __call__(
        self,
        insight: Insight,
        identifiers: Identifiers,
        min_success_rate: float | None,
        min_occurrences: int | None,
    ) -> Preview:
        """The preview. Raises EmbedderUnavailable and StorageUnavailable."""
        seen = _Seen(self._patterns)
        enhance = EnhanceInsight(
            accounts=_Nobody(),
            anonymizer=self._anonymizer,
            embedder=self._embedder,
            patterns=seen,
            enhancements=_Nowhere(),
            rule=self._rule,
            # A preview that shows nothing would be taken for one that found nothing.
            without_embedder=False,
            holdout=0.0,
            exploration=NO_EXPLORATION,
            clock=self._clock,
            new_id=self._new_id,
        )
        answer = await enhance(
            Question(NOBODY, insight, identifiers, min_success_rate, min_occurrences)
        )
        requirements = seen.requirements
        assert requirements is not None  # noqa: S101 - no answer comes without a search
        own, elsewhere = self._shown(seen.own), self._shown(seen.elsewhere)
        if answer.advice and answer.advice.best.candidate.about:
            # Its author's trigger found it, whatever its words.
            best = answer.advice.best.candidate
            own[best.pattern.pattern_id] = best
        # As EnhanceInsight ranks them: others are asked where the own category has nothing, and do not advise what
        # does harm in it.
        harmless = without_harmful(list(elsewhere.values()), list(own.values()), requirements)
        judged = [(each, hurdle(each, requirements)) for each in (*own.values(), *harmless)]
        kept = {each.pattern.pattern_id for each in harmless}
        judged += [(each, NoMatch.HARMFUL) for key, each in elsewhere.items() if key not in kept]
        return Preview(
            answer,
            rank(list(own.values()), requirements).fit or rank(harmless, requirements).fit,
            sorted(
                ((each, failed) for each, failed in judged if failed is not None),
                key=lambda pair: (-pair[0].similarity, pair[0].pattern.pattern_id),
            ),
        )

    def _shown(self, found: Sequence[Candidate]) -> dict[UUID, Candidate]:
        return {
            each.pattern.pattern_id: each for each in found if not each.pattern.withheld(self._rule)
        }


class _Nobody(AccountResolver):
    """Resolves to no account, whatever is asked: none is looked up, and none is registered."""

    def __init__(self) -> None:
        """Needs nothing of what a resolver needs."""

    async def resolve(
        self, account_id: str, business_category: str, now: datetime | None = None
    ) -> Account:
        del account_id, now
        return Account(NOBODY, business_category, NOBODY)


class _Nowhere:
    """Records nothing."""

    async def record_enhancement(self, record: EnhancementRecord) -> None:
        del record


class _Seen:
    """A CandidateStore that notes what was searched for, and what it found."""

    def __init__(self, store: CandidateStore) -> None:
        self._store = store
        self.requirements: Requirements | None = None
        self.own: Sequence[Candidate] = ()
        self.elsewhere: Sequence[Candidate] = ()

    async def candidates(
        self, asked: Asked, requirements: Requirements, limit: int
    ) -> Sequence[Candidate]:
        self.requirements = requirements
        self.own = await self._store.candidates(asked, requirements, limit)
        return self.own

    async def candidates_elsewhere(
        self, asked: Asked, requirements: Requirements, limit: int
    ) -> Sequence[Candidate]:
        self.elsewhere = await self._store.candidates_elsewhere(asked, requirements, limit)
        return self.elsewhere

    async def authored(self, asked: Asked, rule: PublicationRule) -> Sequence[StoredAuthored]:
        return await self._store.authored(asked, rule)

    def outdated(self) -> None:
        self._store.outdated()
