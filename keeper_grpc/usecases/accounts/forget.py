"""ForgetAccount: nothing of the account remains, and nothing of what it was part of is wrong.

One transaction a pattern, so that it may be interrupted anywhere and called again. From the first
step on nothing new of the account is stored.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.accounts.account import Account
from keeper_grpc.domain.accounts.forgetting import AuditEvent, Forgotten, Remainder, Tombstone
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import EmbeddedWords
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.usecases.accounts.resolver import Pseudonymizes
from keeper_grpc.usecases.ports import Clock, Embeds, NewId

BEGUN = "forget_account_begun"
ENDED = "forget_account"

EMBED_AT_ONCE = 200
"""Texts embedded in one call: a pattern may have thousands, and an embedder bounds its queue."""

ROUNDS = 5
"""Looks at a pattern before it is recomputed without the very newest wordings.

On a pattern that gets new wordings faster than they are embedded there would be no end otherwise.
"""


class ForgettingStore(Protocol):
    """Where an account is to be removed."""

    async def find_account(self, keys: Sequence[str]) -> Account | None: ...

    async def bury(self, tombstone: Tombstone) -> None:
        """Keep it, in place of one that was kept before."""

    async def begin_forgetting(self, account_key: str, begun: AuditEvent) -> None:
        """Let nothing new of the account in, and note that this began unless it had before."""

    async def patterns_of(self, account_key: str) -> Sequence[PatternKey]:
        """The patterns that the account's observations are part of."""

    async def remainder(
        self, key: PatternKey, account_key: str, rule: PublicationRule
    ) -> Remainder | None:
        """What the pattern consists of without the account; None when the pattern is gone."""

    async def forget_in_pattern(
        self,
        key: PatternKey,
        account_key: str,
        vectors: Mapping[EmbeddedWords, Vectors] | None,
        rule: PublicationRule,
        *,
        model: str,
        settle: bool,
    ) -> Forgotten | None:
        """Take the account out of one pattern and recompute it, in one transaction.

        `vectors` are those of the remaining wordings, by this model; None leaves the pattern where it is. Returns
        None, having done nothing, when there is a wording without vectors. To `settle` is to leave
        such a wording out of the pattern's place, unless there is no other.
        """

    async def end_forgetting(
        self,
        account_key: str,
        done_so_far: Forgotten,
        event: AuditEvent,
        tombstone: Tombstone,
    ) -> Forgotten | None:
        """Remove everything else, the account itself at last, and write the audit event with what was done.

        Buries it once more: what was buried at the beginning may have been taken away meanwhile.
        Returns None, having done nothing, when a capture that was under way has added to a pattern.
        """


class Memory(Protocol):
    """What this process keeps of the network in memory."""

    async def caught_up(self) -> None:
        """Return when nothing is in it any more that was changed in the database."""


class ForgetAccount:
    """The use case. One instance serves all calls."""

    def __init__(
        self,
        *,
        pseudonyms: Pseudonymizes,
        embedder: Embeds,
        store: ForgettingStore,
        memory: Memory,
        rule: PublicationRule,
        tombstone_retention: timedelta,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._tombstone_retention = tombstone_retention
        self._pseudonyms = pseudonyms
        self._embedder = embedder
        self._store = store
        self._memory = memory
        self._rule = rule
        self._clock = clock
        self._new_id = new_id

    async def __call__(self, account_id: str, *, actor: str) -> tuple[Forgotten, UUID | None]:
        """Forget an account; what that did, and the id of the audit event that says so.

        An account that is not known, or was forgotten before, is nothing to do: no id. It gets its
        tombstone all the same: its first call may be the late one. Raises
        EmbedderUnavailable and StorageUnavailable; call again to go on.
        """
        done = Forgotten()
        event_id: UUID | None = None
        keys = self._pseudonyms.all_keys_of(account_id)
        tombstone_key = self._pseudonyms.tombstone_keys_of(account_id)[0]
        tombstone = Tombstone(tombstone_key, self._clock() + self._tombstone_retention)
        await self._store.bury(tombstone)
        while account := await self._store.find_account(keys):
            begun = AuditEvent(self._new_id(), BEGUN, {}, self._clock(), actor=actor)
            await self._store.begin_forgetting(account.key, begun)
            while patterns := await self._store.patterns_of(account.key):
                for key in patterns:
                    done = done.plus(await self._forget_in(key, account.key))
            end = AuditEvent(self._new_id(), ENDED, {}, self._clock(), actor=actor)
            ended = await self._store.end_forgetting(account.key, done, end, tombstone)
            if ended is not None:
                done, event_id = ended, end.event_id
        await self._memory.caught_up()
        return done, event_id

    async def _forget_in(self, key: PatternKey, account_key: str) -> Forgotten:
        embedded: dict[EmbeddedWords, Vectors] = {}
        for rounds in itertools.count(1):
            remainder = await self._store.remainder(key, account_key, self._rule)
            if remainder is None:
                break
            # Nothing searches any more in the space of a model that is no longer configured.
            placeable = remainder.embedding_model == self._embedder.model
            if placeable:
                await self._embed(remainder, embedded)
            done = await self._store.forget_in_pattern(
                key,
                account_key,
                embedded if placeable else None,
                self._rule,
                model=self._embedder.model,
                settle=rounds >= ROUNDS,
            )
            if done is not None:
                return done
        return Forgotten()

    async def _embed(self, remainder: Remainder, embedded: dict[EmbeddedWords, Vectors]) -> None:
        """Add the vectors of those wordings that have none yet."""
        missing = [
            words
            for words in dict.fromkeys(words for words, _ in remainder.wordings)
            if words not in embedded
        ]
        for start in range(0, len(missing), EMBED_AT_ONCE // 2):
            batch = missing[start : start + EMBED_AT_ONCE // 2]
            vectors = await self._embedder.embed(
                [text for words in batch for text in (words.sentence, words.action)]
            )
            embedded |= {
                words: Vectors(sentence, action)
                for words, sentence, action in zip(batch, vectors[::2], vectors[1::2], strict=True)
            }
