"""Accounts begin to count once they qualify: looked for now and then, and after a registration."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import NoReturn, Protocol

import structlog

from keeper_grpc.domain.accounts.qualification import Qualification
from keeper_grpc.usecases.periodically import periodically
from keeper_grpc.usecases.ports import Clock

log = structlog.get_logger()

AT_ONCE = 500
"""Accounts that are looked up at once; each is a transaction of its own."""


class QualificationStore(Protocol):
    """Where it stands which accounts count."""

    async def due(self, rule: Qualification, now: datetime, limit: int) -> Sequence[str]:
        """Accounts that qualify now and do not count yet."""

    async def unfit(self, rule: Qualification, now: datetime, limit: int) -> Sequence[str]:
        """Accounts that count and do not qualify. Reads the ledger of every account that counts."""

    async def qualify(self, account_key: str, *, qualified: bool) -> None:
        """Let an account count or not, and note what is stale by that, in one transaction."""

    async def is_decided_by(self, rule: Qualification) -> bool:
        """Whether all accounts were held to this very rule."""

    async def decided_by(self, rule: Qualification) -> None:
        """Note that they were."""


class QualifyAccounts:
    """The use case. `start` it, then `run` it as a task, or call it."""

    def __init__(
        self,
        *,
        store: QualificationStore,
        refresh: Callable[[], Awaitable[int]],
        rule: Qualification,
        clock: Clock,
        interval: timedelta,
    ) -> None:
        self._store = store
        self._refresh = refresh
        self._rule = rule
        self._clock = clock
        self._interval = interval

    async def start(self) -> None:
        """Hold every account to the rule, where it is another one than before."""
        if not await self._store.is_decided_by(self._rule):
            disqualified = 0
            while unfit := await self._store.unfit(self._rule, self._clock(), AT_ONCE):
                for account_key in unfit:
                    await self._store.qualify(account_key, qualified=False)
                disqualified += len(unfit)
            if disqualified:
                log.warning(
                    "accounts_do_not_count",
                    accounts=disqualified,
                    settings="KEEPER_OPEN_ACCOUNTS, KEEPER_ACCOUNT_MIN_AGE, "
                    "KEEPER_ACCOUNT_MIN_ACTIVE_DAYS",
                )
            await self._store.decided_by(self._rule)
        await self()

    async def __call__(self) -> int:
        """Let accounts count that qualify by now; how many. Raises StorageUnavailable.

        What they are part of has followed when this returns; where it was interrupted, the next call
        goes on.
        """
        qualified = 0
        while due := await self._store.due(self._rule, self._clock(), AT_ONCE):
            for account_key in due:
                await self._store.qualify(account_key, qualified=True)
            qualified += len(due)
        await self._refresh()
        return qualified

    async def run(self) -> NoReturn:
        """Do so for ever, first an interval after the start."""
        await asyncio.sleep(self._interval.total_seconds())
        await periodically(self, self._interval, "qualification_postponed")
