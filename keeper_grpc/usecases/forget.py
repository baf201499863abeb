"""ForgetAccount: nothing of the account remains, and nothing of what it was part of is wrong.

One transaction a pattern, so that it may be interrupted anywhere and called again. From the first
step on nothing new of the account is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.account import Account
from keeper_grpc.domain.forgetting import AuditEvent, Centre, Forgotten, Remainder
from keeper_grpc.domain.publication import PublicationRule
from keeper_grpc.usecases.accounts import Pseudonymizes
from keeper_grpc.usecases.ports import Clock, Embeds, NewId

BEGUN = "forget_account_begun"
DONE = "forget_account"

EMBED_AT_ONCE = 200
"""Wordings embedded in one call: a pattern may have thousands, and an embedder bounds its queue."""


class ForgettingStore(Protocol):
    """Where an account is to be removed."""

    async def find_account(self, keys: Sequence[str]) -> Account | None: ...

    async def begin_forgetting(self, account_key: str, begun: AuditEvent) -> None:
        """Let nothing new of the account in, and note that this began unless it had before."""

    async def patterns_of(self, account_key: str) -> Sequence[UUID]:
        """The patterns that the account's observations are part of."""

    async def remainder(self, pattern_id: UUID, account_key: str) -> Remainder | None:
        """What the pattern consists of without the account; None when the pattern is gone."""

    async def forget_in_pattern(
        self,
        pattern_id: UUID,
        account_key: str,
        remainder: Remainder,
        centre: Centre | None,
        rule: PublicationRule,
    ) -> Forgotten | None:
        """Take the account out of one pattern and recompute it, in one transaction.

        `centre` None leaves the pattern where it is. Returns None, having done nothing, when the
        remainder is not what it was.
        """

    async def end_forgetting(
        self, account_key: str, done_so_far: Forgotten, event_id: UUID, now: datetime
    ) -> Forgotten | None:
        """Remove everything else, the account itself at last, and write the audit event.

        Returns None, having done nothing, when a capture that was under way has added to a pattern.
        """


class ForgetAccount:
    """The use case. One instance serves all calls."""

    def __init__(
        self,
        *,
        pseudonyms: Pseudonymizes,
        embedder: Embeds,
        store: ForgettingStore,
        rule: PublicationRule,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._pseudonyms = pseudonyms
        self._embedder = embedder
        self._store = store
        self._rule = rule
        self._clock = clock
        self._new_id = new_id

    async def __call__(self, account_id: str) -> tuple[Forgotten, UUID | None]:
        """Forget an account; what that did, and the id of the audit event that says so.

        An account that is not known, or was forgotten before, is nothing to do: no id. Raises
        EmbedderUnavailable and StorageUnavailable; call again to go on.
        """
        done = Forgotten()
        event_id: UUID | None = None
        keys = self._pseudonyms.all_keys_of(account_id)
        while account := await self._store.find_account(keys):
            begun = AuditEvent(self._new_id(), BEGUN, {}, self._clock())
            await self._store.begin_forgetting(account.key, begun)
            while patterns := await self._store.patterns_of(account.key):
                for pattern_id in patterns:
                    done = done.plus(await self._forget_in(pattern_id, account.key))
            ended_id = self._new_id()
            ended = await self._store.end_forgetting(account.key, done, ended_id, self._clock())
            if ended is not None:
                done, event_id = ended, ended_id
        return done, event_id

    async def _forget_in(self, pattern_id: UUID, account_key: str) -> Forgotten:
        while remainder := await self._store.remainder(pattern_id, account_key):
            done = await self._store.forget_in_pattern(
                pattern_id, account_key, remainder, await self._centre(remainder), self._rule
            )
            if done is not None:
                return done
        return Forgotten()

    async def _centre(self, remainder: Remainder) -> Centre | None:
        """The mean directions of the remaining wordings.

        None where there are none, and in the space of a model that is no longer configured: nothing
        searches there any more.
        """
        if not remainder.wordings or remainder.embedding_model != self._embedder.model:
            return None
        counts = np.array([count for _, count in remainder.wordings], np.float64)
        sentences = await self._embed([insight.render() for insight, _ in remainder.wordings])
        actions = await self._embed([insight.action for insight, _ in remainder.wordings])
        return Centre(*_mean(sentences, counts), *_mean(actions, counts))

    async def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.concatenate(
            [
                await self._embedder.embed(texts[start : start + EMBED_AT_ONCE])
                for start in range(0, len(texts), EMBED_AT_ONCE)
            ]
        )


def _mean(
    vectors: NDArray[np.float32], counts: NDArray[np.float64]
) -> tuple[NDArray[np.float32], float]:
    total = counts @ vectors.astype(np.float64)
    length = float(np.linalg.norm(total))
    return (total / length).astype(np.float32), length
