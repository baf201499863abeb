"""How every call finds out which account it is about.

An account id is replaced by its pseudonym here and goes no further.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from keeper_grpc.domain.accounts.account import Account, NewAccount
from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.accounts.qualification import Qualification
from keeper_grpc.domain.errors import (
    AccountBeingForgotten,
    AccountCategoryConflict,
    AccountCategoryUnknown,
    AccountNotFound,
)
from keeper_grpc.usecases.ports import Anonymizes, Clock


class Pseudonymizes(Protocol):
    """Keyed hashes of account ids."""

    def key_of(self, account_id: str) -> str:
        """The pseudonym under the current key."""

    def all_keys_of(self, account_id: str) -> Sequence[str]:
        """The pseudonyms under every known key, so that a rotation does not double an account."""

    def owner_keys_of(self, owner_id: str) -> Sequence[str]:
        """An owner's pseudonyms under every known key, the current one first."""

    def tombstone_keys_of(self, account_id: str) -> Sequence[str]:
        """What stays of a forgotten account, under every known key, the current one first."""


class AccountStore(Protocol):
    """Where accounts are remembered."""

    async def find_account(self, keys: Sequence[str]) -> Account | None:
        """The account that is known by one of these pseudonyms, perhaps from memory, as it was a second ago."""

    async def read_account(self, keys: Sequence[str]) -> Account | None:
        """The same as it is now, in no less time for one that is not known."""

    async def add_account(
        self,
        account: NewAccount,
        tombstone_keys: Sequence[str],
        registration: AuditEvent | None = None,
        returned: AuditEvent | None = None,
    ) -> bool:
        """Add it unless it is there; whether it was added. Then the event of its `registration` is written, if any.

        Raises AccountForgotten while it has one of these tombstones, unless it is `returned`: then they go, and that
        event is written instead.
        """


class AccountResolver:
    """Resolves account ids to accounts."""

    def __init__(
        self,
        *,
        pseudonyms: Pseudonymizes,
        anonymizer: Anonymizes,
        store: AccountStore,
        qualification: Qualification,
        clock: Clock,
    ) -> None:
        self._pseudonyms = pseudonyms
        self._anonymizer = anonymizer
        self._store = store
        self._qualification = qualification
        self._clock = clock

    async def key_of(self, account_id: str) -> str:
        """The pseudonym of an account, known or not; see `known_or_not`."""
        return (await self.known_or_not(account_id)).key

    async def known_or_not(self, account_id: str) -> Account:
        """The account, or one without category and owner: for a call that must not tell which it is, also by its time.

        Not from memory, which knows those that exist.
        """
        known = await self._store.read_account(self._pseudonyms.all_keys_of(account_id))
        if known is not None:
            return known
        key = self._pseudonyms.key_of(account_id)
        return Account(key, "", key)

    async def resolve(
        self, account_id: str, business_category: str, now: datetime | None = None
    ) -> Account:
        """The account behind an id. A first call that names a category registers it, as of `now`.

        `business_category` comes from an anonymized insight and is empty where the request named
        none. Raises AccountCategoryUnknown, AccountCategoryConflict, AccountBeingForgotten and
        AccountForgotten.
        """
        account, _ = await self.find_or_add(account_id, business_category, now or self._clock())
        return account

    def anonymous(self, business_category: str) -> str:
        """The category as it may be stored."""
        return self._anonymizer.anonymize_label(business_category)

    async def find(self, account_id: str) -> Account:
        """The account behind an id. Raises AccountNotFound and AccountBeingForgotten."""
        account = await self._store.find_account(self._pseudonyms.all_keys_of(account_id))
        if account is None:
            raise AccountNotFound
        if account.forgetting:
            raise AccountBeingForgotten
        return account

    async def find_or_add(
        self,
        account_id: str,
        business_category: str,
        joined: datetime,
        *,
        registration: AuditEvent | None = None,
        owner_key: str | None = None,
        returned: AuditEvent | None = None,
    ) -> tuple[Account, bool]:
        """The account behind an id, and whether it is new. Raises as `resolve`.

        `registration`: an operator says that it joined; what is written then. `returned`: also if it was forgotten a
        while ago; what is written in that case.
        """
        keys = self._pseudonyms.all_keys_of(account_id)
        account = await self._store.find_account(keys)
        created = False
        if account is None:
            if not business_category:
                raise AccountCategoryUnknown
            key = self._pseudonyms.key_of(account_id)
            account = Account(key, business_category, owner_key or key)
            new = NewAccount(
                account.key,
                business_category,
                joined_time=joined,
                created_time=self._clock(),
                registered=registration is not None,
                qualified=self._qualification.counts_at_once(registered=registration is not None),
                owner_key=owner_key,
            )
            created = await self._store.add_account(
                new, self._pseudonyms.tombstone_keys_of(account_id), registration, returned
            )
            if not created:  # another call was faster; what it wrote is what counts
                account = await self._store.find_account(keys) or account
        if account.forgetting:
            raise AccountBeingForgotten
        if business_category and account.business_category != business_category:
            raise AccountCategoryConflict
        return account, created
