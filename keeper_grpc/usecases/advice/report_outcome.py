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

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.advice.enhancement import HandedOut
from keeper_grpc.domain.errors import AccountCategoryUnknown, CaptureNotFound, InvalidInput
from keeper_grpc.domain.insight import AnonymizedInsight, Outcome
from keeper_grpc.domain.observation import CaptureRequest, Standing, Vectors
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.usecases.accounts.resolver import AccountResolver
from keeper_grpc.usecases.advice.find_enhancement import HandedOutStore, find_handed_out
from keeper_grpc.usecases.advice.revise_outcome import Revised, RevisionEntry
from keeper_grpc.usecases.patterns.group_entries import AlreadyAnswered, ReportEntry, Written
from keeper_grpc.usecases.ports import CLOCK_SKEW, Clock, Embeds


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


class ReportWriter(Protocol):
    """Where reports go; see usecases/patterns/scope_writer.py."""

    async def report(self, scope: Scope, entry: ReportEntry) -> Written | AlreadyAnswered:
        """The answer once a first outcome is committed, or was found to be there."""

    async def revise(self, scope: Scope, entry: RevisionEntry) -> Revised:
        """The answer once the outcome that stands is replaced."""


class ReportStore(HandedOutStore, Protocol):
    """Where enhancements are remembered, and what was reported."""

    async def outcome_of(self, account_key: str, source: UUID | CaptureRequest) -> Standing | None:
        """What the ledger has of an enhancement or a capture of this account."""


class ReportOutcome:
    """The use case. One instance serves all calls."""

    def __init__(
        self,
        *,
        accounts: AccountResolver,
        embedder: Embeds,
        store: ReportStore,
        writer: ReportWriter,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._embedder = embedder
        self._store = store
        self._writer = writer
        self._clock = clock

    async def __call__(self, report: OutcomeReport) -> Reported:
        """Record the outcome, or return what an earlier attempt of the same request did.

        Raises EnhancementNotFound, CaptureNotFound, OutcomeAlreadyReported, RequestIdReused, InvalidInput,
        AccountBeingForgotten, EmbedderUnavailable, StorageUnavailable and TooBusy. After an error nothing of
        the request is stored.
        """
        now = self._clock()
        if isinstance(report.source, CaptureRequest):
            account = await self._capturer(report.account_id)
            occurred = _occurred(report, None, now)
            standing = await self._store.outcome_of(account.key, report.source)
            if standing is None:
                raise CaptureNotFound
            return await self._revise(account, report, standing, occurred, now)
        account, given = await find_handed_out(
            self._accounts, self._store, report.account_id, report.source
        )
        occurred = _occurred(report, given.created_at, now)
        # It counts where it was counted first, also if another model is in use since.
        standing = await self._store.outcome_of(account.key, report.source)
        if standing is not None:
            return await self._revise(account, report, standing, occurred, now)
        written = await self._writer.report(
            self._scope(given),
            ReportEntry(
                account_key=account.key,
                request_id=report.request_id,
                fingerprints=report.fingerprints,
                given=given,
                outcome=report.outcome,
                vectors=await self._vectors(given.acted_on) if given.foreign else None,
                thresholds=self._embedder.thresholds,
                occurred_time=occurred,
                recorded_time=now,
            ),
        )
        if isinstance(written, AlreadyAnswered):
            # Meanwhile.
            return await self._revise(account, report, written.standing, occurred, now)
        pattern = written.pattern
        return Reported(None if pattern is None else pattern.pattern_id, written.replayed)

    async def _capturer(self, account_id: str) -> Account:
        """The account that captured. Raises CaptureNotFound for one that the network does not know."""
        try:
            return await self._accounts.resolve(account_id, "")
        except AccountCategoryUnknown:
            raise CaptureNotFound from None

    async def _revise(
        self,
        account: Account,
        report: OutcomeReport,
        standing: Standing,
        occurred: datetime,
        now: datetime,
    ) -> Reported:
        """Put the outcome into the place of the interim one that stands."""
        revised = await self._writer.revise(
            standing.scope,
            RevisionEntry(
                account_key=account.key,
                request_id=report.request_id,
                fingerprints=report.fingerprints,
                source=report.source,
                outcome=report.outcome,
                occurred_time=occurred,
                recorded_time=now,
            ),
        )
        return Reported(revised.pattern_id, revised.replayed)

    def _scope(self, given: HandedOut) -> Scope:
        """Where the outcome counts: vectors of foreign advice are made now, by the present model."""
        if given.foreign:
            return replace(given.scope, embedding_model=self._embedder.model)
        return given.pattern.scope if given.pattern else given.scope

    async def _vectors(self, insight: AnonymizedInsight) -> Vectors:
        words = insight.words
        sentence, action = await self._embedder.embed([words.sentence, words.action])
        return Vectors(sentence, action)


def _occurred(report: OutcomeReport, since: datetime | None, now: datetime) -> datetime:
    """When it occurred: any time since the advice, with allowance for the caller's clock.

    The advice may be of another server, whose clock is ahead of this one's: that is no fault of the caller's.
    """
    occurred = report.occurred_time
    if occurred is None:
        return now if since is None else max(now, since)
    if occurred > now + CLOCK_SKEW:
        raise InvalidInput("occurred_time", "must not be in the future")
    if since is not None and occurred < min(since, now) - CLOCK_SKEW:
        raise InvalidInput("occurred_time", "must not be before the enhancement")
    return occurred
