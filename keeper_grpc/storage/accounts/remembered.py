"""Accounts in memory: a call asks for its account first, and most calls are of accounts that have just called."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NoReturn

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.storage.accounts.accounts import PostgresAccounts
from keeper_grpc.storage.database import Database

MOST = 100_000
"""Accounts held, about 50 MB."""
POLL = 0.4
"""Seconds between looks for changes by other processes."""
TRUSTED = 1.0
"""Seconds after the last look for which memory is believed: nothing in it is older."""


class RememberedAccounts(PostgresAccounts):
    """Remembers the accounts that `find_account` found until one of any changes; `run` it as a task.

    The database counts changes of accounts (`account_changes`), which are rare: registrations of known accounts,
    corrections, ForgetAccount. When the count has moved, everything is forgotten. Accounts that are not there are
    not remembered, so that a new one is found at once, and neither is one that is being forgotten.

    `hits` and `misses` count answers from memory and from the database.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(database)
        self._known: dict[str, Account] = {}
        self._clock = clock
        self._changes = -1
        self._looked = float("-inf")
        self.hits = 0
        self.misses = 0

    async def find_account(self, keys: Sequence[str]) -> Account | None:
        """As PostgresAccounts; what another process changed is seen after TRUSTED seconds at the latest."""
        if self._clock() - self._looked <= TRUSTED:
            known = self._known.get(keys[0])
            if known is not None:
                self.hits += 1
                return known
        self.misses += 1
        # What is read may be older than a change that `look` sees meanwhile.
        changes = self._changes
        account = await self.read_account(keys)
        if account is not None and not account.forgetting and changes == self._changes:
            if len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
            self._known[keys[0]] = account
        return account

    async def register_known(
        self, key: str, joined_time: datetime | None, owner_key: str | None, event: AuditEvent
    ) -> bool:
        """As PostgresAccounts; seen by this process at once."""
        registered = await super().register_known(key, joined_time, owner_key, event)
        await self.look()
        return registered

    async def correct(
        self,
        key: str,
        business_category: str | None,
        owner_key: str | None,
        event: AuditEvent,
        *,
        change_owner: bool,
    ) -> bool:
        """As PostgresAccounts; seen by this process at once."""
        changed = await super().correct(
            key, business_category, owner_key, event, change_owner=change_owner
        )
        await self.look()
        return changed

    async def look(self) -> None:
        """Forget everything if an account has changed since the last look. Raises StorageUnavailable."""
        began = self._clock()
        async with self._database.connection() as connection:
            changes: int = await connection.fetchval("SELECT changes FROM account_changes")
        if changes != self._changes:
            self._changes = changes
            self._known.clear()
        self._looked = max(self._looked, began)

    async def run(self) -> NoReturn:
        """Look for ever. While the database is away, memory is not believed."""
        while True:
            with contextlib.suppress(StorageUnavailable):
                await self.look()
            await asyncio.sleep(POLL)
