"""Whether an identity may speak for an account: by the account's id, or because of whose account it is."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from keeper_grpc.domain.access.identity import Identity
from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.errors import AccountNotAllowed

MOST_SETS = 1_000
"""Sets of owners whose pseudonyms are remembered: one for each identity that has owners."""


class OwnerPseudonyms(Protocol):
    """Keyed hashes of accounts and owners."""

    def all_keys_of(self, account_id: str) -> Sequence[str]: ...

    def owner_keys_of(self, owner_id: str) -> Sequence[str]: ...


class KnownAccounts(Protocol):
    """Where accounts are remembered; see usecases/accounts/resolver.py."""

    async def find_account(self, keys: Sequence[str]) -> Account | None: ...

    async def read_account(self, keys: Sequence[str]) -> Account | None: ...


class SpeakFor:
    """The use case. One instance serves all calls.

    An account that is not known and one of somebody else's are refused alike, after the same look at the database, so
    that a refusal does not tell which it was.
    """

    def __init__(self, *, pseudonyms: OwnerPseudonyms, store: KnownAccounts) -> None:
        self._pseudonyms = pseudonyms
        self._store = store
        self._owner_keys: dict[frozenset[str], frozenset[str]] = {}

    def account(self, identity: Identity, account_id: str) -> Awaitable[None] | None:
        """Raise AccountNotAllowed unless the identity may speak for the account, or return what will.

        Nothing has to be awaited for an identity that may speak for all, or has the account in its list.
        """
        if identity.accounts is None or account_id in identity.accounts:
            return None
        if not identity.owners:
            raise AccountNotAllowed
        return self._of_its_owners(identity, account_id)

    def registration(
        self, identity: Identity, account_id: str, owner_id: str
    ) -> Awaitable[None] | None:
        """The same for an account that is to be registered, perhaps with an owner."""
        if identity.accounts is None:
            return None
        if owner_id and owner_id not in identity.owners:
            raise AccountNotAllowed
        if account_id in identity.accounts:
            return None
        if not identity.owners:
            raise AccountNotAllowed
        return self._of_its_owners(identity, account_id, or_new=bool(owner_id))

    def correction(
        self, identity: Identity, account_id: str, owner_id: str | None
    ) -> Awaitable[None] | None:
        """The same for an account that is to be corrected; `owner_id` is None where the owner stays.

        Only to an owner of the identity's, and not to itself: accounts that are their own owners count one by one
        towards k, so that one owner's would publish what they like.
        """
        if (
            identity.accounts is not None
            and owner_id is not None
            and owner_id not in identity.owners
        ):
            raise AccountNotAllowed
        return self.account(identity, account_id)

    async def _of_its_owners(
        self, identity: Identity, account_id: str, *, or_new: bool = False
    ) -> None:
        keys = self._pseudonyms.all_keys_of(account_id)
        allowed = self._keys_of(identity.owners)
        account = await self._store.find_account(keys)
        if account is not None and account.owner_key in allowed:
            return
        # Memory knows those that exist, and is faster for them.
        account = await self._store.read_account(keys)
        if account is None:
            if or_new:
                return
            raise AccountNotAllowed
        if account.owner_key not in allowed:
            raise AccountNotAllowed

    def _keys_of(self, owners: frozenset[str]) -> frozenset[str]:
        known = self._owner_keys.get(owners)
        if known is None:
            known = frozenset(
                key for owner_id in owners for key in self._pseudonyms.owner_keys_of(owner_id)
            )
            if len(self._owner_keys) >= MOST_SETS:
                self._owner_keys.clear()
            self._owner_keys[owners] = known
        return known
