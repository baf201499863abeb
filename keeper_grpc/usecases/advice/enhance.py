"""EnhanceInsight: what the other accounts know about one account's insight.

Anonymize, embed, fetch the nearest patterns of the account's category, rank, boost, record. The
asking account's own evidence is subtracted before anything is judged or shown. Where nothing proven fits, an author
may have advice (domain/advice/authored.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Protocol

from keeper_grpc.domain.advice.authored import (
    AuthoredAdvice,
    Matched,
    StoredAuthored,
    asks_for_proof,
    choose_authored,
)
from keeper_grpc.domain.advice.enhancement import Advice, Asked, Enhancement, EnhancementRecord
from keeper_grpc.domain.advice.exploration import (
    Exploration,
    choose_pattern,
    choose_wording,
    randomness,
)
from keeper_grpc.domain.advice.holdout import in_holdout
from keeper_grpc.domain.advice.ranking import (
    DEFAULT_MIN_OCCURRENCES,
    DEFAULT_MIN_SUCCESS_RATE,
    Candidate,
    NoMatch,
    Ranking,
    Requirements,
    Scored,
    context_line,
    explain,
    rank,
    without_harmful,
)
from keeper_grpc.domain.authored.matching import match
from keeper_grpc.domain.authored.triggers import facts_of_conditions
from keeper_grpc.domain.errors import EmbedderUnavailable, PatternsMoved
from keeper_grpc.domain.evidence.evidence import boost
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import (
    AnonymizationReport,
    AnonymizedInsight,
    Identifiers,
    Insight,
    JsonValue,
)
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.usecases.accounts.resolver import AccountResolver
from keeper_grpc.usecases.advice.triggers import usable_trigger
from keeper_grpc.usecases.ports import Anonymizes, Clock, Embeds, NewId

CANDIDATES = 20
"""Nearest patterns to rank. A farther one could win only with a far better rate, and would be about
something else."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the caller asks. None in the last two means the source design's defaults."""

    account_id: str
    insight: Insight
    identifiers: Identifiers
    min_success_rate: float | None = None
    min_occurrences: int | None = None


class CandidateStore(Protocol):
    """Where patterns are found. Evidence leaves the asking account out."""

    async def candidates(
        self, asked: Asked, requirements: Requirements, limit: int
    ) -> Sequence[Candidate]:
        """The nearest patterns of the asking account's category.

        When none of them meets the requirements, also the nearest ones that do, however far.
        """

    async def candidates_elsewhere(
        self, asked: Asked, requirements: Requirements, limit: int
    ) -> Sequence[Candidate]:
        """The nearest patterns of other categories that meet the requirements, with transfer."""

    async def authored(self, asked: Asked, rule: PublicationRule) -> Sequence[StoredAuthored]:
        """The catalog's patterns for the asking account's category, those that were retired left out."""

    def outdated(self) -> None:
        """A pattern that was found is gone: let what is kept of patterns be read again before the next search."""


class EnhancementStore(Protocol):
    """Where enhancements are recorded."""

    async def record_enhancement(self, record: EnhancementRecord) -> None:
        """Write the enhancement, and show it to the emerging-pattern detector, in one transaction."""


class EnhanceInsight:
    """The use case. One instance serves all calls.

    `holdout` is the share of questions that are deliberately left without advice, so that what
    advice is worth can be measured; 0 leaves none. `exploration` is how often a pattern and a script are drawn
    instead of being the best known. `without_embedder` lets a question be answered, unenhanced, where the embedding model
    does not answer.
    """

    def __init__(
        self,
        *,
        accounts: AccountResolver,
        anonymizer: Anonymizes,
        embedder: Embeds,
        patterns: CandidateStore,
        enhancements: EnhancementStore,
        rule: PublicationRule,
        holdout: float,
        exploration: Exploration,
        without_embedder: bool,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._without_embedder = without_embedder
        self._accounts = accounts
        self._anonymizer = anonymizer
        self._embedder = embedder
        self._patterns = patterns
        self._enhancements = enhancements
        self._rule = rule
        self._holdout = holdout
        self._exploration = exploration
        self._clock = clock
        self._new_id = new_id
        self._usual = Requirements(min_similarity=embedder.thresholds.retrieval, rule=rule)

    async def __call__(self, question: Question) -> Enhancement:
        """Enhance one insight.

        Raises AccountCategoryUnknown, AccountCategoryConflict, AccountBeingForgotten,
        EmbedderUnavailable (unless it answers without embedder) and StorageUnavailable.
        """
        anonymized = self._anonymizer.anonymize(question.insight, question.identifiers)
        account = await self._accounts.resolve(
            question.account_id, anonymized.insight.business_category
        )
        insight = anonymized.insight.in_category(account.business_category)
        rendered = insight.render()
        scope = Scope(insight.type, insight.business_category, self._embedder.model)
        try:
            vector = (await self._embedder.embed([rendered]))[0]
        except EmbedderUnavailable:
            if not self._without_embedder:
                raise
            return await self._unenhanced(question, anonymized.report, insight, scope, account.key)
        asked = Asked(
            scope=scope,
            vector=vector,
            account_key=account.key,
            owner_key=account.owner_key,
            conditions=insight.conditions,
        )
        # Triggers are evaluated over the conditions as they came: bands would hide what they compare.
        now = self._clock()
        draws = partial(randomness, account.key, rendered, now.date())
        ranking, authored = await self._rank(
            asked, self._requirements(question), question.insight.conditions, draws
        )
        advice = self._advice(ranking.fit, insight, draws()) if ranking.fit else None
        held_out = bool(advice or authored) and in_holdout(account.key, rendered, self._holdout)
        enhancement = Enhancement(
            enhancement_id=self._new_id(),
            insight=insight,
            advice=None if held_out else advice,
            no_match=NoMatch.HOLDOUT if held_out else ranking.no_match,
            closest=None if held_out else ranking.closest,
            anonymization=anonymized.report,
            created_at=now,
            authored=None if held_out else authored,
        )
        record = EnhancementRecord(
            enhancement=enhancement,
            withheld_advice=advice if held_out else None,
            withheld_authored=authored if held_out else None,
            holdout_share=self._holdout,
            scope=scope,
            account_key=account.key,
            vector=vector,
            seen_time=min(question.insight.observed_time or now, now),
        )
        try:
            await self._enhancements.record_enhancement(record)
        except PatternsMoved:
            self._patterns.outdated()
            raise
        return enhancement

    async def _unenhanced(
        self,
        question: Question,
        report: AnonymizationReport,
        insight: AnonymizedInsight,
        scope: Scope,
        account_key: str,
    ) -> Enhancement:
        """The answer to a question that has no vector: nothing is looked for, and its outcome may be reported all the same."""
        now = self._clock()
        enhancement = Enhancement(
            enhancement_id=self._new_id(),
            insight=insight,
            advice=None,
            no_match=NoMatch.EMBEDDER_UNAVAILABLE,
            closest=None,
            anonymization=report,
            created_at=now,
        )
        await self._enhancements.record_enhancement(
            EnhancementRecord(
                enhancement=enhancement,
                withheld_advice=None,
                holdout_share=self._holdout,
                scope=scope,
                account_key=account_key,
                vector=None,
                seen_time=min(question.insight.observed_time or now, now),
            )
        )
        return enhancement

    async def _rank(
        self,
        asked: Asked,
        requirements: Requirements,
        conditions: Mapping[str, JsonValue],
        draws: Callable[[], Random],
    ) -> tuple[Ranking, AuthoredAdvice | None]:
        """What is proven in the own category first, then in the others; then what an author advises."""
        candidates = await self._patterns.candidates(asked, requirements, CANDIDATES)
        own = rank(candidates, requirements)
        if own.best:
            return own, None
        matched = await self._matched(asked, requirements, conditions)
        about = {
            one.candidate.pattern.pattern_id: replace(one.candidate, about=True) for one in matched
        }
        known = [one for one in candidates if one.pattern.pattern_id not in about]
        known += about.values()
        own = rank(known, requirements)
        if own.best:
            return own, None
        foreign = await self._patterns.candidates_elsewhere(asked, requirements, CANDIDATES)
        elsewhere = rank(without_harmful(foreign, known, requirements), requirements)
        if elsewhere.best:
            return elsewhere, None
        if asks_for_proof(requirements):
            return own, None
        harmless = without_harmful([one.candidate for one in matched], known, requirements)
        return own, choose_authored(
            [one for one in matched if one.candidate in harmless], self._rule, draws()
        )

    async def _matched(
        self, asked: Asked, requirements: Requirements, conditions: Mapping[str, JsonValue]
    ) -> Sequence[Matched]:
        """The catalog's patterns that are about the question."""
        found = []
        facts = facts_of_conditions(conditions)
        for stored in await self._patterns.authored(asked, self._rule):
            candidate = stored.candidate
            trigger = usable_trigger(candidate.pattern.pattern_id, stored.trigger)
            if trigger is None:
                continue
            fits = match(
                trigger,
                candidate.pattern.conditions,
                facts,
                asked.conditions,
                similar=candidate.similarity >= requirements.min_similarity,
            )
            if fits:
                found.append(Matched(candidate, trigger, fits, stored.own))
        return found

    def _requirements(self, question: Question) -> Requirements:
        if question.min_success_rate is None and question.min_occurrences is None:
            return self._usual  # by which candidates that are kept were judged before
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

    def _advice(self, fit: Sequence[Scored], insight: AnonymizedInsight, rng: Random) -> Advice:
        explored = self._exploration
        chosen = choose_pattern(fit, explored.pattern_share, explored.most_loss, rng)
        best, known = chosen.best, chosen.best.candidate.pattern
        return Advice(
            best=best,
            confidence=boost(insight.confidence, best.expected_success_rate),
            script=choose_wording(
                known, self._rule, explored.script_share, explored.most_loss, rng
            ),
            network_context=context_line(best),
            typical_revenue=self._rule.revenue(known.evidence),
            explanation=explain(best, insight.business_category, drawn=best is not fit[0]),
            chosen=chosen,
        )
