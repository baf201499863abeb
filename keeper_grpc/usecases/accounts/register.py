"""RegisterAccount: an operator says that an account exists, whose it is and since when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.errors import AccountOwnerConflict, InvalidInput
from keeper_grpc.usecases.accounts.resolver import AccountResolver, Pseudonymizes
from keeper_grpc.usecases.ports import CLOCK_SKEW, Clock, NewId

REGISTERED = "register_account"
RETURNED = "return_forgotten_account"


@dataclass(frozen=True, slots=True)
class Registration:
    """What the operator says. Empty `owner_id`: nothing of an owner.

    `return_forgotten`: also if the account was forgotten a while ago.
    """

    account_id: str
    business_category: str
    joined_time: datetime | None = None
    owner_id: str = ""
    return_forgotten: bool = False


class RegistrationStore(Protocol):
    """Where accounts are registered."""

    async def known_owner(self, keys: Sequence[str]) -> str | None:
        """Under which of these pseudonyms an owner has accounts, so that a rotation does not double it."""

    async def register_known(
        self, key: str, joined_time: datetime | None, owner_key: str | None, event: AuditEvent
    ) -> bool:
        """Register an account that is known from its first call, unless it is registered, and write the event then.

        Without a time it joined with that call. What is counted from its joining is counted again, and
        what it is part of is noted as stale where its owner changed. False: it is registered, with
        another owner.
        """


class RegisterAccount:
    """The use case. One instance serves all calls."""

    def __init__(
        self,
        *,
        accounts: AccountResolver,
        pseudonyms: Pseudonymizes,
        store: RegistrationStore,
        qualify: Callable[[], Awaitable[int]],
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._accounts = accounts
        self._pseudonyms = pseudonyms
        self._store = store
        self._qualify = qualify
        self._clock = clock
        self._new_id = new_id

    async def __call__(self, said: Registration, *, actor: str) -> bool:
        """Register an account; whether it was unknown. The category passes the anonymizer too.

        The first registration is the one that holds, also of an account that is known from a call.
        Raises AccountCategoryConflict and AccountOwnerConflict when it is registered otherwise,
        AccountForgotten, and InvalidInput for a `joined_time` in the future.
        """
        now = self._clock()
        if said.joined_time is not None and said.joined_time > now + CLOCK_SKEW:
            raise InvalidInput("joined_time", "must not be in the future")
        owner_key = await find_owner(self._store, self._pseudonyms, said.owner_id)
        event = AuditEvent(self._new_id(), REGISTERED, {}, now, actor=actor)
        account, created = await self._accounts.find_or_add(
            said.account_id,
            self._accounts.anonymous(said.business_category),
            said.joined_time or now,
            registration=event,
            owner_key=owner_key,
            returned=replace(event, action=RETURNED) if said.return_forgotten else None,
        )
        if created:
            return True
        if not await self._store.register_known(account.key, said.joined_time, owner_key, event):
            raise AccountOwnerConflict
        await self._qualify()
        return False


class OwnerStore(Protocol):
    """Where owners are known from their accounts."""

    async def known_owner(self, keys: Sequence[str]) -> str | None:
        """See RegistrationStore."""


async def find_owner(store: OwnerStore, pseudonyms: Pseudonymizes, owner_id: str) -> str | None:
    """The owner's pseudonym, the one it has accounts under if it has any; None for an empty id."""
    if not owner_id:
        return None
    keys = pseudonyms.owner_keys_of(owner_id)
    return await store.known_owner(keys) or keys[0]
