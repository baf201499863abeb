"""Words that the accounts of k owners use are no longer masked: fetched now and then, kept in memory."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import NoReturn, Protocol

from keeper_grpc.usecases.periodically import periodically

MOST_WORDS = 50_000
"""Hashes held in memory, about 10 MB. Beyond, the words of the fewest accounts are left out."""


class WordStore(Protocol):
    """Where the words of accounts are counted."""

    async def words_of(self, k: int, limit: int, *, manual: bool) -> frozenset[str]:
        """Hashes of the words that pass, those of the most owners first.

        At least k owners of accounts that count use them, and no person rejected them; `manual`: a
        person approved them, too.
        """


class Approves(Protocol):
    """Whoever answers the anonymizer."""

    def replace(self, hashes: frozenset[str]) -> None:
        """From now on, the words of these hashes are approved, and no others."""


class ApproveWords:
    """The use case. `run` it as a task, or call it once."""

    def __init__(
        self,
        *,
        store: WordStore,
        approved: Approves,
        k: int,
        manual: bool,
        interval: timedelta,
    ) -> None:
        self._manual = manual
        self._store = store
        self._approved = approved
        self._k = k
        self._interval = interval

    async def __call__(self) -> int:
        """Approve what k owners use now; how many words. Raises StorageUnavailable."""
        hashes = await self._store.words_of(self._k, MOST_WORDS, manual=self._manual)
        self._approved.replace(hashes)
        return len(hashes)

    async def run(self) -> NoReturn:
        """Do so for ever. While the database is away, what was approved before stays so.

        The first turn comes an interval after the start, which has approved words before it serves.
        """
        await asyncio.sleep(self._interval.total_seconds())
        await periodically(self, self._interval, "word_approval_postponed")
