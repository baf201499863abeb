"""GetAccountValue: what the network told one account, what that brought, and what the account gave to the others."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.errors import AccountNotFound
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.metrics.account_value import AccountValue, GatheredValue, account_value
from keeper_grpc.domain.metrics.formulas import window_start
from keeper_grpc.usecases.accounts.resolver import AccountResolver
from keeper_grpc.usecases.metrics.report import DEFAULT_WINDOW
from keeper_grpc.usecases.ports import Clock


class AccountValueStore(Protocol):
    """What is known of one account and of its peers."""

    async def gather(
        self, account: Account, start: datetime, rule: PublicationRule
    ) -> GatheredValue:
        """The account's doings since `start`, a midnight (UTC), and its peers."""


class GetAccountValue:
    """The use case. One instance serves all calls."""

    def __init__(
        self,
        *,
        accounts: AccountResolver,
        store: AccountValueStore,
        rule: PublicationRule,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._rule = rule
        self._clock = clock

    async def __call__(self, account_id: str, window: timedelta | None) -> AccountValue:
        """The value as of now. Raises AccountBeingForgotten and StorageUnavailable.

        An account that is not known is answered as one that has done nothing: whether it exists is not told.
        """
        try:
            account = await self._accounts.find(account_id)
        except AccountNotFound:
            key = await self._accounts.key_of(account_id)
            account = Account(key, "", key)
        now = self._clock()
        start = window_start(now, window or DEFAULT_WINDOW)
        gathered = await self._store.gather(account, start, self._rule)
        return account_value(gathered, self._rule.k, now, start)
