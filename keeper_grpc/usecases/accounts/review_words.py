"""A person looks at the words that k owners approve, without seeing them, and decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from keeper_grpc.domain.accounts.forgetting import AuditEvent
from keeper_grpc.domain.accounts.words import WordUse
from keeper_grpc.usecases.ports import Clock, NewId

MOST_LISTED = 1_000
"""Words of a list for a person."""


class ReviewStore(Protocol):
    """Where the words of accounts are counted, and decided on."""

    async def uses(self, k: int, limit: int, *, manual: bool) -> Sequence[WordUse]:
        """The words that at least k - 1 owners use, those of the most owners first."""

    async def decide(self, word_hash: str, event: AuditEvent, *, approved: bool) -> bool:
        """Keep a decision with its event, in place of an earlier one; False for an unknown hash."""


class ReviewWords:
    """The use case."""

    def __init__(
        self, *, store: ReviewStore, k: int, manual: bool, clock: Clock, new_id: NewId
    ) -> None:
        self._store = store
        self._k = k
        self._manual = manual
        self._clock = clock
        self._new_id = new_id

    async def listed(self) -> Sequence[WordUse]:
        """What is approved or about to be. Raises StorageUnavailable."""
        return await self._store.uses(self._k, MOST_LISTED, manual=self._manual)

    async def decide(self, word_hash: str, *, approved: bool, actor: str) -> bool:
        """Approve or reject a word; False where no account uses it.

        Servers follow at their next look. A word that fewer than k owners use does not pass whatever
        was decided.
        """
        action = "approve_word" if approved else "reject_word"
        event = AuditEvent(self._new_id(), action, {}, self._clock(), actor=actor)
        return await self._store.decide(word_hash, event, approved=approved)
