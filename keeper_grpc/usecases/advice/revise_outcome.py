"""Putting a reported outcome into the place of an interim one, in the ledger and in all that is counted of it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.errors import (
    AccountBeingForgotten,
    OutcomeAlreadyReported,
    PatternsMoved,
    RequestIdReused,
)
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import Outcome
from keeper_grpc.domain.observation import CaptureRequest, Recorded, Revision, Standing
from keeper_grpc.domain.patterns.pattern import Pattern, PatternKey, Scope


@dataclass(frozen=True, slots=True)
class RevisionEntry:
    """A report of an outcome that was reported before. `fingerprints` are as in `Capture`."""

    account_key: str
    request_id: UUID
    fingerprints: tuple[bytes, ...]
    source: UUID | CaptureRequest
    outcome: Outcome
    occurred_time: datetime
    recorded_time: datetime


@dataclass(frozen=True, slots=True)
class Revised:
    """The answer. `pattern_id` is None when the outcome is evidence of no pattern that the account may be shown."""

    pattern_id: UUID | None
    replayed: bool


class RevisionTransaction(Protocol):
    """One transaction that owns a scope. Everything in it happens, or nothing does."""

    async def recorded(self, account_key: str, request_id: UUID) -> Recorded | None:
        """The ledger entry of an earlier attempt."""

    async def outcome_of(self, account_key: str, source: UUID | CaptureRequest) -> Standing | None:
        """What the ledger has of an enhancement or a capture of this account."""

    async def revise(self, revision: Revision) -> None:
        """Put an outcome into the place of the interim one, also in what is counted."""

    async def pattern(self, key: PatternKey, account_key: str) -> Pattern:
        """The pattern as it is now, without the evidence of the account's owner."""


class RevisionStore(Protocol):
    """Where revisions go."""

    def revision(self, scope: Scope) -> AbstractAsyncContextManager[RevisionTransaction]:
        """Begin a transaction that owns the scope; it commits at the end of the block unless that raises."""


class ReviseOutcome:
    """The use case. One instance serves all scopes."""

    def __init__(self, store: RevisionStore, rule: PublicationRule) -> None:
        self._store = store
        self._rule = rule

    async def __call__(self, scope: Scope, entry: RevisionEntry) -> Revised:
        """Revise, or return what an earlier attempt of the same request did.

        Raises RequestIdReused, OutcomeAlreadyReported, AccountBeingForgotten, PatternsMoved and StorageUnavailable.
        """
        async with self._store.revision(scope) as transaction:
            earlier = await transaction.recorded(entry.account_key, entry.request_id)
            if earlier is not None:
                if earlier.fingerprint not in entry.fingerprints:
                    raise RequestIdReused
                shown = await self._shown(transaction, earlier.pattern, entry.account_key)
                return Revised(shown, replayed=True)
            # What stood before this waited for the scope may be final or forgotten by now.
            current = await transaction.outcome_of(entry.account_key, entry.source)
            if current is None:
                raise AccountBeingForgotten
            if current.scope != scope:
                raise PatternsMoved
            if current.final:
                raise OutcomeAlreadyReported
            await transaction.revise(
                Revision(
                    observation_id=current.observation_id,
                    scope_id=scope.scope_id,
                    account_key=entry.account_key,
                    request_id=entry.request_id,
                    fingerprint=entry.fingerprints[0],
                    outcome=entry.outcome,
                    occurred_time=entry.occurred_time,
                    recorded_time=entry.recorded_time,
                )
            )
            shown = await self._shown(transaction, current.key, entry.account_key)
        return Revised(shown, replayed=False)

    async def _shown(
        self, transaction: RevisionTransaction, key: PatternKey | None, account_key: str
    ) -> UUID | None:
        """The pattern that was credited, unless the account may not be shown it."""
        if key is None:
            return None
        pattern = await transaction.pattern(key, account_key)
        return None if pattern.withheld(self._rule) else key.pattern_id
