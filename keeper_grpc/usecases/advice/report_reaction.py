"""ReportReaction: what became of advice, apart from whether it worked.

Every report goes into a ledger of its own. The reaction that stands is kept with the enhancement, where the
adoption of patterns and scripts is counted from.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.advice.reaction import (
    DismissalReason,
    GivenAdvice,
    Reaction,
    ReportedReaction,
    replaces,
)
from keeper_grpc.domain.errors import EnhancementNotFound, NothingAdvised, RequestIdReused
from keeper_grpc.usecases.accounts.resolver import AccountResolver
from keeper_grpc.usecases.advice.find_enhancement import find_asker
from keeper_grpc.usecases.ports import Clock


@dataclass(frozen=True, slots=True)
class ReactionReport:
    """What the caller reports. `fingerprints` are as in `Capture`; `reason` is of a dismissal."""

    request_id: UUID
    account_id: str
    enhancement_id: UUID
    reaction: Reaction
    reason: DismissalReason | None
    fingerprints: tuple[bytes, ...]


class ReactionTransaction(Protocol):
    """One transaction. Everything in it happens, or nothing does."""

    async def given(self, account_key: str, enhancement_id: UUID) -> GivenAdvice | None:
        """What this account was given, None for another account's; nobody else reacts until the end."""

    async def reacted(self, account_key: str, request_id: UUID) -> bytes | None:
        """The fingerprint of an earlier attempt."""

    async def record(self, reported: ReportedReaction, *, stands: bool) -> None:
        """Append to the ledger of reactions. From now on it `stands` for the advice, if so."""


class ReactionStore(Protocol):
    """Where reactions go."""

    def reaction(self) -> AbstractAsyncContextManager[ReactionTransaction]:
        """Begin a transaction; it commits at the end of the block unless that raises."""


class ReportReaction:
    """The use case. One instance serves all calls."""

    def __init__(self, *, accounts: AccountResolver, store: ReactionStore, clock: Clock) -> None:
        self._accounts = accounts
        self._store = store
        self._clock = clock

    async def __call__(self, report: ReactionReport) -> bool:
        """Record the reaction; whether an earlier attempt of the same request did.

        Raises EnhancementNotFound, NothingAdvised, AlreadyDone, RequestIdReused, AccountBeingForgotten and
        StorageUnavailable. After an error nothing of the request is stored.
        """
        account = await find_asker(self._accounts, report.account_id)
        async with self._store.reaction() as transaction:
            given = await transaction.given(account.key, report.enhancement_id)
            if given is None:
                raise EnhancementNotFound
            earlier = await transaction.reacted(account.key, report.request_id)
            if earlier is not None:
                if earlier not in report.fingerprints:
                    raise RequestIdReused
                return True
            if not given.advised:
                raise NothingAdvised
            reported = ReportedReaction(
                account_key=account.key,
                request_id=report.request_id,
                fingerprint=report.fingerprints[0],
                enhancement_id=report.enhancement_id,
                reaction=report.reaction,
                reason=report.reason,
                recorded_time=self._clock(),
            )
            await transaction.record(reported, stands=replaces(given, report.reaction))
        return False
