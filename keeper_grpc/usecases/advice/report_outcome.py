"""ReportOutcome: what came of an enhancement becomes evidence.

A report says "in my situation, this approach, these words": the account's conditions, the pattern's
action, the script that was given. It counts into the pattern that was applied. Advice from another
category counts in the account's own instead, into the pattern that says the same there or a new one:
so a category comes by evidence of its own, and how advice travels is learned from the enhancement.

Advice that was dismissed was not followed: what is reported of it is an outcome of something else that the account
did, of which nothing is known. It counts in the holdout experiment, in the arm that chance assigned, and in no
pattern.

A later report takes the place of an interim outcome, and the ledger keeps what was replaced. Where outcomes count in
steps, an interim one waits for the final one; where they count as they come, the evidence moves by the difference.
So it is with interim outcomes of captures, which are named by their request_id.

A report adds evidence and no wording: the pattern stays where it lies in vector space. Its words came
from the pattern, and would pull it towards itself the more often it is applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.advice.enhancement import HandedOut
from keeper_grpc.domain.errors import (
    AccountBeingForgotten,
    AccountCategoryUnknown,
    CaptureNotFound,
    InvalidInput,
    OutcomeAlreadyReported,
    PatternsMoved,
    RequestIdReused,
    StorageUnavailable,
)
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import AnonymizationReport, AnonymizedInsight, Outcome
from keeper_grpc.domain.observation import (
    CaptureRequest,
    Disposition,
    Observation,
    Recorded,
    Revision,
    Standing,
    Vectors,
)
from keeper_grpc.domain.patterns.pattern import Neighbour, Pattern, PatternKey, Scope, merge_target
from keeper_grpc.usecases.accounts.resolver import AccountResolver
from keeper_grpc.usecases.advice.find_enhancement import HandedOutStore, find_handed_out
from keeper_grpc.usecases.patterns.capture import NEIGHBOURS
from keeper_grpc.usecases.ports import CLOCK_SKEW, Clock, Embeds, NewId


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """What the caller reports, of an enhancement by its id or of a capture. `fingerprints` are as in `Capture`."""

    request_id: UUID
    account_id: str
    source: UUID | CaptureRequest
    outcome: Outcome
    occurred_time: datetime | None
    fingerprints: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Reported:
    """The answer. `pattern_id` is None when the outcome is evidence of no pattern that the account may be shown."""

    pattern_id: UUID | None
    replayed: bool


class ReportTransaction(Protocol):
    """One transaction. Everything in it happens, or nothing does."""

    async def lock_scope(self, scope: Scope) -> None:
        """Exclude every other transaction that changes the scope's patterns, until this one ends."""

    async def recorded(self, account_key: str, request_id: UUID) -> Recorded | None:
        """The ledger entry of an earlier attempt."""

    async def outcome_of(self, account_key: str, source: UUID | CaptureRequest) -> Standing | None:
        """What the ledger has of an enhancement or a capture of this account."""

    async def dismissed(self, account_key: str, enhancement_id: UUID) -> bool:
        """Whether the account dismissed this advice; no reaction of it is recorded until the end."""

    async def revise(self, revision: Revision) -> None:
        """Put an outcome into the place of the interim one, also in what is counted."""

    async def pin_pattern(self, key: PatternKey) -> str | None:
        """Keep the pattern from being deleted or reworded until the end.

        Returns its action, or None when the pattern is gone.
        """

    async def nearest(self, scope: Scope, vectors: Vectors, limit: int) -> Sequence[Neighbour]:
        """The exact nearest patterns of the scope, nearest first."""

    async def create(self, pattern_id: UUID, observation: Observation, vectors: Vectors) -> None:
        """Add a pattern without evidence, worded as the observation."""

    async def record(self, observation: Observation) -> None:
        """Write the ledger, and count the observation into its pattern and its script."""

    async def pattern(self, key: PatternKey, account_key: str) -> Pattern:
        """The pattern as it is now, without the evidence of the account's owner."""


class ReportStore(HandedOutStore, Protocol):
    """Where enhancements are remembered and reports go."""

    def report(self) -> AbstractAsyncContextManager[ReportTransaction]:
        """Begin a transaction; it commits at the end of the block unless that raises."""


@dataclass(frozen=True, slots=True)
class _Credit:
    """Where an outcome counts. `new` patterns have yet to be created."""

    pattern_id: UUID | None
    similarity: float
    new: bool = False


class ReportOutcome:
    """The use case. One instance serves all calls."""

    def __init__(
        self,
        *,
        accounts: AccountResolver,
        embedder: Embeds,
        store: ReportStore,
        rule: PublicationRule,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._accounts = accounts
        self._embedder = embedder
        self._store = store
        self._rule = rule
        self._clock = clock
        self._new_id = new_id

    async def __call__(self, report: OutcomeReport) -> Reported:
        """Record the outcome, or return what an earlier attempt of the same request did.

        Raises EnhancementNotFound, CaptureNotFound, OutcomeAlreadyReported, RequestIdReused, InvalidInput,
        AccountBeingForgotten, EmbedderUnavailable and StorageUnavailable. After an error nothing of
        the request is stored.
        """
        now = self._clock()
        if isinstance(report.source, CaptureRequest):
            account = await self._capturer(report.account_id)
            occurred = _occurred(report, None, now)
            async with self._store.report() as transaction:
                standing = await transaction.outcome_of(account.key, report.source)
                if standing is None:
                    raise CaptureNotFound
                return await self._revise(transaction, account, report, standing, occurred)
        account, given = await find_handed_out(
            self._accounts, self._store, report.account_id, report.source
        )
        occurred = _occurred(report, given.created_at, now)
        scope = self._scope(given)
        vectors = await self._vectors(given.acted_on) if given.foreign else None

        async with self._store.report() as transaction:
            # It counts where it was counted first, also if another model is in use since.
            standing = await transaction.outcome_of(account.key, report.source)
            if standing is not None:
                return await self._revise(transaction, account, report, standing, occurred)
            await transaction.lock_scope(scope)
            if replay := await self._replay(transaction, account, report):
                return replay
            standing = await transaction.outcome_of(account.key, report.source)
            if standing is not None:
                if standing.scope != scope:
                    raise StorageUnavailable("the outcome was reported meanwhile; try again")
                return await self._revise(transaction, account, report, standing, occurred)
            given, followed = await self._followed(transaction, account, given)
            if given.pattern is None:
                vectors = None
            credit = await self._credit(transaction, given, scope, vectors)
            observation = Observation(
                observation_id=self._new_id(),
                account_key=account.key,
                request_id=report.request_id,
                fingerprint=report.fingerprints[0],
                scope=scope,
                insight=given.acted_on,
                report=AnonymizationReport(),
                outcome=report.outcome,
                disposition=Disposition.REPORTED,
                pattern_id=credit.pattern_id,
                similarity=credit.similarity,
                occurred_time=occurred,
                recorded_time=now,
                enhancement_id=report.source if followed else None,
                instead_of=None if followed else report.source,
            )
            if credit.pattern_id and credit.new and vectors:
                await transaction.create(credit.pattern_id, observation, vectors)
            await transaction.record(observation)
            shown = await self._shown(transaction, observation.pattern_key, account.key)
        return Reported(shown, replayed=False)

    async def _followed(
        self, transaction: ReportTransaction, account: Account, given: HandedOut
    ) -> tuple[HandedOut, bool]:
        """The advice as it can be credited, and whether it was followed: unless it was dismissed."""
        if await transaction.dismissed(account.key, given.enhancement_id):
            return replace(given, pattern=None), False
        if given.pattern is None:
            return given, True
        # Whoever worded it may have been forgotten since: then it says something else, or is gone. What it said is
        # not to be kept either.
        action = await transaction.pin_pattern(given.pattern.key)
        pattern = None if action is None else replace(given.pattern, action=action)
        return replace(given, pattern=pattern), True

    async def _capturer(self, account_id: str) -> Account:
        """The account that captured. Raises CaptureNotFound for one that the network does not know."""
        try:
            return await self._accounts.resolve(account_id, "")
        except AccountCategoryUnknown:
            raise CaptureNotFound from None

    async def _replay(
        self, transaction: ReportTransaction, account: Account, report: OutcomeReport
    ) -> Reported | None:
        """The answer to an earlier attempt, or None. Raises RequestIdReused."""
        earlier = await transaction.recorded(account.key, report.request_id)
        if earlier is None:
            return None
        if earlier.fingerprint not in report.fingerprints:
            raise RequestIdReused
        return Reported(await self._shown(transaction, earlier.pattern, account.key), replayed=True)

    async def _revise(
        self,
        transaction: ReportTransaction,
        account: Account,
        report: OutcomeReport,
        standing: Standing,
        occurred: datetime,
    ) -> Reported:
        """Put the outcome into the place of the interim one that stands."""
        await transaction.lock_scope(standing.scope)
        if replay := await self._replay(transaction, account, report):
            return replay
        # What stood before this waited for the scope may be final or forgotten by now.
        current = await transaction.outcome_of(account.key, report.source)
        if current is None:
            raise AccountBeingForgotten
        if current.scope != standing.scope:
            raise PatternsMoved
        if current.final:
            raise OutcomeAlreadyReported
        await transaction.revise(
            Revision(
                observation_id=current.observation_id,
                scope_id=current.scope.scope_id,
                account_key=account.key,
                request_id=report.request_id,
                fingerprint=report.fingerprints[0],
                outcome=report.outcome,
                occurred_time=occurred,
                recorded_time=self._clock(),
            )
        )
        return Reported(await self._shown(transaction, current.key, account.key), replayed=False)

    async def _shown(
        self, transaction: ReportTransaction, key: PatternKey | None, account_key: str
    ) -> UUID | None:
        """The pattern that was credited, unless the account may not be shown it.

        Foreign advice may be credited to a pattern that another account of the category alone has begun.
        """
        if key is None:
            return None
        pattern = await transaction.pattern(key, account_key)
        return None if pattern.withheld(self._rule) else key.pattern_id

    def _scope(self, given: HandedOut) -> Scope:
        """Where the outcome counts: vectors of foreign advice are made now, by the present model."""
        if given.foreign:
            return replace(given.scope, embedding_model=self._embedder.model)
        return given.pattern.scope if given.pattern else given.scope

    async def _vectors(self, insight: AnonymizedInsight) -> Vectors:
        words = insight.words
        sentence, action = await self._embedder.embed([words.sentence, words.action])
        return Vectors(sentence, action)

    async def _credit(
        self,
        transaction: ReportTransaction,
        given: HandedOut,
        scope: Scope,
        vectors: Vectors | None,
    ) -> _Credit:
        if given.pattern is None:
            return _Credit(None, 0.0)
        if vectors is None:
            return _Credit(given.pattern.pattern_id, given.similarity)
        neighbours = await transaction.nearest(scope, vectors, NEIGHBOURS)
        target = merge_target(given.pattern.action, neighbours, self._embedder.thresholds)
        if target:
            return _Credit(target.pattern_id, target.similarity)
        nearest = neighbours[0].similarity if neighbours else 0.0
        return _Credit(self._new_id(), nearest, new=True)


def _occurred(report: OutcomeReport, since: datetime | None, now: datetime) -> datetime:
    """When it occurred: any time since the advice, with allowance for the caller's clock."""
    occurred = report.occurred_time or now
    if occurred > now + CLOCK_SKEW:
        raise InvalidInput("occurred_time", "must not be in the future")
    if since is not None and occurred < since - CLOCK_SKEW:
        raise InvalidInput("occurred_time", "must not be before the enhancement")
    return occurred
