"""UpdateAccount: correct what a registration or a first call said wrongly.

Evidence stays where it was captured, in the category that the account had then. Under another category it no
longer counts, because that business did not see it; it counts again when the account is put back. Under
another owner it counts as that owner's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.usecases.accounts.register import OwnerStore, find_owner
from keeper_grpc.usecases.accounts.resolver import AccountResolver, Pseudonymizes
from keeper_grpc.usecases.ports import Clock, NewId


@dataclass(frozen=True, slots=True)
class Correction:
    """What is right. None leaves what there is; an empty `owner_id` makes the account its own owner."""

    account_id: str
    business_category: str | None = None
    owner_id: str | None = None


class CorrectionStore(OwnerStore, Protocol):
    """Where accounts are corrected."""

    async def correct(
        self,
        key: str,
        business_category: str | None,
        owner_key: str | None,
        event: AuditEvent,
        *,
        change_owner: bool,
    ) -> bool:
        """Correct an account, note what is stale by that, and write the event, in one transaction.

        False, having done nothing, where it is so already.
        """


class UpdateAccount:
    """The use case. One instance serves all calls."""

    def __init__(
        self,
        *,
        accounts: AccountResolver,
        pseudonyms: Pseudonymizes,
        store: CorrectionStore,
        refresh: Callable[[], Awaitable[int]],
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._accounts = accounts
        self._pseudonyms = pseudonyms
        self._store = store
        self._refresh = refresh
        self._clock = clock
        self._new_id = new_id

    async def __call__(self, said: Correction, *, actor: str) -> UUID | None:
        """Correct an account; the id of the audit event, None where nothing changed.

        When this returns, what the account is part of has followed; after an interruption it follows by
        itself. Raises AccountNotFound and AccountBeingForgotten.
        """
        account = await self._accounts.find(said.account_id)
        event = AuditEvent(
            self._new_id(),
            "update_account",
            {
                "business_category": int(said.business_category is not None),
                "owner_id": int(said.owner_id is not None),
            },
            self._clock(),
            actor=actor,
        )
        changed = await self._store.correct(
            account.key,
            said.business_category and self._accounts.anonymous(said.business_category),
            await find_owner(self._store, self._pseudonyms, said.owner_id or ""),
            event,
            change_owner=said.owner_id is not None,
        )
        await self._refresh()
        return event.event_id if changed else None
