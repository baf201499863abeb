"""RegisterAccount, and how every other call finds out which account it is about.

An account id is replaced by its pseudonym here and goes no further.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.errors import (
    AccountBeingForgotten,
    AccountCategoryConflict,
    AccountCategoryUnknown,
    InvalidInput,
)
from keeper_grpc.usecases.ports import CLOCK_SKEW, Anonymizes, Clock


class Pseudonymizes(Protocol):
    """Keyed hashes of account ids."""

    def key_of(self, account_id: str) -> str:
        """The pseudonym under the current key."""

    def all_keys_of(self, account_id: str) -> Sequence[str]:
        """The pseudonyms under every known key, so that a rotation does not double an account."""


class AccountStore(Protocol):
    """Where accounts are remembered."""

    async def find_account(self, keys: Sequence[str]) -> Account | None:
        """The account that is known by one of these pseudonyms."""

    async def add_account(
        self, account: Account, joined_time: datetime, *, registered: bool
    ) -> bool:
        """Add it unless it is there; whether it was added.

        `registered`: somebody said that it joined, rather than a first call.
        """

    async def register_known(self, key: str, joined_time: datetime | None) -> None:
        """Register an account that is known from its first call, unless it is registered.

        None lets it have joined with that call. What is counted from its joining is counted anew.
        """


class AccountResolver:
    """Resolves account ids to accounts."""

    def __init__(
        self,
        *,
        pseudonyms: Pseudonymizes,
        anonymizer: Anonymizes,
        store: AccountStore,
        clock: Clock,
    ) -> None:
        self._pseudonyms = pseudonyms
        self._anonymizer = anonymizer
        self._store = store
        self._clock = clock

    async def register(
        self, account_id: str, business_category: str, joined_time: datetime | None
    ) -> bool:
        """Register an account; whether it was unknown. The category passes the anonymizer too.

        The first registration is the one that holds, also of an account that is known from a call.
        Raises AccountCategoryConflict when it is registered in another category, and InvalidInput for a
        `joined_time` in the future.
        """
        now = self._clock()
        if joined_time is not None and joined_time > now + CLOCK_SKEW:
            raise InvalidInput("joined_time", "must not be in the future")
        category = self._anonymizer.anonymize_label(business_category)
        account, created = await self._find_or_add(
            account_id, category, joined_time or now, registered=True
        )
        if not created:
            await self._store.register_known(account.key, joined_time)
        return created

    async def identify(self, account_id: str, business_category: str) -> Account:
        """`resolve` for a call without an insight: the category has yet to pass the anonymizer."""
        category = self._anonymizer.anonymize_label(business_category) if business_category else ""
        return await self.resolve(account_id, category)

    async def resolve(
        self, account_id: str, business_category: str, now: datetime | None = None
    ) -> Account:
        """The account behind an id. A first call that names a category registers it, as of `now`.

        `business_category` comes from an anonymized insight and is empty where the request named
        none. Raises AccountCategoryUnknown, AccountCategoryConflict and AccountBeingForgotten.
        """
        account, _ = await self._find_or_add(
            account_id, business_category, now or self._clock(), registered=False
        )
        return account

    async def _find_or_add(
        self, account_id: str, business_category: str, joined: datetime, *, registered: bool
    ) -> tuple[Account, bool]:
        keys = self._pseudonyms.all_keys_of(account_id)
        account = await self._store.find_account(keys)
        created = False
        if account is None:
            if not business_category:
                raise AccountCategoryUnknown
            account = Account(self._pseudonyms.key_of(account_id), business_category)
            created = await self._store.add_account(account, joined, registered=registered)
            if not created:  # another call was faster; what it wrote is what counts
                account = await self._store.find_account(keys) or account
        if account.forgetting:
            raise AccountBeingForgotten
        if business_category and account.business_category != business_category:
            raise AccountCategoryConflict
        return account, created
