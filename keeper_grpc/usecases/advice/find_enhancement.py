"""Finding the enhancement that a call is about."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.advice.enhancement import HandedOut
from keeper_grpc.domain.errors import AccountCategoryUnknown, EnhancementNotFound
from keeper_grpc.usecases.accounts.resolver import AccountResolver


class HandedOutStore(Protocol):
    """Where enhancements are remembered."""

    async def handed_out(self, account: Account, enhancement_id: UUID) -> HandedOut | None:
        """What this account was given under this id; None for another account's."""


async def find_handed_out(
    accounts: AccountResolver, store: HandedOutStore, account_id: str, enhancement_id: UUID
) -> tuple[Account, HandedOut]:
    """The account and its enhancement.

    Raises EnhancementNotFound, whether the account, the enhancement or the tie between them does not
    exist: a caller cannot find out by guessing. Raises AccountBeingForgotten.
    """
    account = await find_asker(accounts, account_id)
    given = await store.handed_out(account, enhancement_id)
    if given is None:
        raise EnhancementNotFound
    return account, given


async def find_asker(accounts: AccountResolver, account_id: str) -> Account:
    """The account that an enhancement was given to.

    Raises EnhancementNotFound for one that the network does not know. Raises AccountBeingForgotten.
    """
    try:
        return await accounts.resolve(account_id, "")
    except AccountCategoryUnknown:
        raise EnhancementNotFound from None
