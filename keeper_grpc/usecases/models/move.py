"""Moves the network to another embedding model while it is served, and loses nothing.

    copy     embed what every pattern and sighting is made of under the next model, beside the old vectors.
             What is captured meanwhile changes a pattern's old vectors, and so it is copied again
    switch   one transaction: copy the last few, then all rows take their new vectors. Captures wait for it,
             questions do not
    settle   move what questions showed during the switch, merge the patterns that the new model finds to be one, and drop the old vectors

It may be killed anywhere and started again: each part begins with what is left to do.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.accounts.forgetting import Centre
from keeper_grpc.domain.errors import Unavailable
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.duplicates import Placed, duplicates
from keeper_grpc.domain.patterns.pattern import Scope
from keeper_grpc.domain.patterns.space import (
    Follower,
    NamedModel,
    PatternWords,
    Recipe,
    Space,
)
from keeper_grpc.usecases.ports import Embeds, Vector

PATTERNS = 32
"""Patterns that are copied at once: what a kill may lose, though their vectors stay in the cache."""

SIGHTINGS = 128

TEXTS = 256
"""Texts that are embedded at once."""

LAST_FEW = 64
"""Patterns and sightings that the switch copies itself, while captures wait."""

ROUNDS = 10
"""Attempts to come so near. Then captures come faster than copies, and the switch copies whatever is left."""

NOTICE = 3.0
"""Seconds in which every serving process has noticed the move."""

PATIENCE = 120.0
"""Seconds in which a serving process has loaded the next model."""

ASK_AGAIN = 0.5


class CannotFollow(Unavailable):
    """A serving process could not go on with the next model. The message says why."""


class Copying(Protocol):
    """The vectors of the next model, beside those of the present one."""

    async def remaining(self, target: str) -> tuple[int, int]:
        """The numbers of patterns and of sightings that have yet to be copied."""

    async def patterns(self, target: str, limit: int) -> Sequence[PatternWords]:
        """Some of these patterns."""

    async def put_patterns(self, made: Sequence[tuple[PatternWords, Centre]]) -> None:
        """Keep their places under the next model."""

    async def sightings(self, target: str, limit: int) -> Sequence[tuple[int, str]]:
        """Some of these sightings, and the sentence of each."""

    async def put_sightings(self, made: Sequence[tuple[int, Vector]]) -> None:
        """Keep their vectors under the next model."""


class Switch(Copying, Protocol):
    """The transaction of the switch: whoever adds vectors waits until it ends."""

    async def apply(self, target: str) -> None:
        """Let every row take its vectors of the next model, which becomes the present one."""


class MoveStore(Protocol):
    """The tables of the move, and of what is moved."""

    async def space(self) -> Space | None:
        """The present model and, while a move is under way, the next one."""

    async def begin(self, target: NamedModel) -> None:
        """Record the next model."""

    def copying(self) -> AbstractAsyncContextManager[Copying]:
        """Lend a connection for one batch."""

    def switch(self) -> AbstractAsyncContextManager[Switch]:
        """Begin the switch; it commits at the end of the block unless that raises."""

    async def followers(self) -> Sequence[Follower]:
        """The serving processes that announced themselves within seconds."""

    async def scopes(self) -> Sequence[Scope]:
        """The scopes in which duplicates may be."""

    async def placed(self, scope: Scope) -> Sequence[Placed]:
        """A scope's patterns: the catalog's first, then in the order of their discovery."""

    async def merge(self, scope: Scope, gone: UUID, into: UUID) -> bool:
        """Merge one pattern into another in one transaction; False where that is no longer right."""

    async def adopt_sightings(self) -> None:
        """Let sightings that were copied after the switch take their new vectors."""

    async def drop_old(self) -> int:
        """Drop some of the cache's vectors of other models; how many."""

    async def settle(self) -> None:
        """Drop what else is left of the move, and record its end."""


class Progress(Protocol):
    """What the operator sees."""

    def begin(self, part: str, total: int) -> None:
        """A part of the move begins, with so much to do."""

    def done(self, count: int) -> None:
        """So much of it is done."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did since it was last started."""

    patterns: int
    sightings: int
    merged: int


class MoveModel:
    """The use case. `force` switches although a serving process could not follow."""

    def __init__(
        self, *, store: MoveStore, embedder: Embeds, progress: Progress, force: bool = False
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._target = embedder.model
        self._progress = progress
        self._force = force
        self._patterns = 0
        self._sightings = 0

    async def __call__(self, recipe: Recipe) -> Moved:
        """Move to the embedder's model, or go on with that.

        Raises CannotFollow, EmbedderUnavailable and StorageUnavailable; then run it again.
        """
        space = await self._store.space()
        if space is None or space.present.model != self._target or await self._left():
            await self._store.begin(NamedModel(self._target, recipe))
            noticed = asyncio.get_running_loop().time() + NOTICE
            await self._copy()
            await self._until_followed(noticed)
            await self._switch()
        merged = await self._settle()
        return Moved(self._patterns, self._sightings, merged)

    async def _left(self) -> bool:
        """Whether anything belongs to another model although the database does not."""
        async with self._store.copying() as copying:
            return any(await copying.remaining(self._target))

    async def _copy(self) -> None:
        async with self._store.copying() as copying:
            patterns, sightings = await copying.remaining(self._target)
        self._progress.begin("patterns", patterns)
        while await self._copy_patterns(PATTERNS):
            pass
        self._progress.begin("sightings", sightings)
        while await self._copy_sightings(SIGHTINGS):
            pass

    async def _copy_patterns(self, limit: int) -> int:
        # No connection is held while the model computes.
        async with self._store.copying() as copying:
            batch = await copying.patterns(self._target, limit)
        made = await self._placed(batch)
        async with self._store.copying() as copying:
            await copying.put_patterns(made)
        self._patterns += len(made)
        self._progress.done(len(made))
        return len(made)

    async def _copy_sightings(self, limit: int) -> int:
        async with self._store.copying() as copying:
            batch = await copying.sightings(self._target, limit)
        made = await self._seen(batch)
        async with self._store.copying() as copying:
            await copying.put_sightings(made)
        self._sightings += len(made)
        self._progress.done(len(made))
        return len(made)

    async def _placed(self, batch: Sequence[PatternWords]) -> Sequence[tuple[PatternWords, Centre]]:
        texts = [
            text
            for each in batch
            for words, _ in each.wordings
            for text in (words.sentence, words.action or words.sentence)
        ]
        vectors = await self._vectors(texts)
        return [
            (
                each,
                Centre.of(
                    (
                        Vectors(vectors[words.sentence], vectors[words.action or words.sentence]),
                        count,
                    )
                    for words, count in each.wordings
                ),
            )
            for each in batch
        ]

    async def _seen(self, batch: Sequence[tuple[int, str]]) -> Sequence[tuple[int, Vector]]:
        vectors = await self._vectors([text for _, text in batch])
        return [(sighting, vectors[text]) for sighting, text in batch]

    async def _vectors(self, texts: Sequence[str]) -> Mapping[str, Vector]:
        distinct = list(dict.fromkeys(texts))
        found: dict[str, Vector] = {}
        for start in range(0, len(distinct), TEXTS):
            part = distinct[start : start + TEXTS]
            found.update(zip(part, await self._embedder.embed(part), strict=True))
        return found

    async def _until_followed(self, noticed: float) -> None:
        """Wait until every serving process has noticed the move and loaded the next model."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + PATIENCE
        self._progress.begin("servers", 0)
        while True:
            behind = [
                each for each in await self._store.followers() if each.prepared != self._target
            ]
            problem = next((each.problem for each in behind if each.problem), None)
            if loop.time() >= noticed and not behind:
                return
            if self._force and loop.time() >= noticed:
                return
            if problem is not None and not self._force:
                raise CannotFollow(
                    f"{len(behind)} serving process(es) could not go on with {self._target}: {problem}; "
                    "mend that and run keeper reembed again, or let them stop with --force"
                )
            if loop.time() > give_up:
                raise CannotFollow(
                    f"{len(behind)} serving process(es) have not loaded {self._target}; run keeper reembed "
                    "again, or let them stop with --force"
                )
            await asyncio.sleep(ASK_AGAIN)

    async def _switch(self) -> None:
        self._progress.begin("switch", 0)
        for rounds in itertools.count(1):
            async with self._store.switch() as switch:
                if sum(await switch.remaining(self._target)) <= LAST_FEW or rounds > ROUNDS:
                    await self._copy_the_rest(switch)
                    await switch.apply(self._target)
                    return
            await self._copy()

    async def _copy_the_rest(self, switch: Switch) -> None:
        while batch := await switch.patterns(self._target, PATTERNS):
            await switch.put_patterns(await self._placed(batch))
            self._patterns += len(batch)
        while seen := await switch.sightings(self._target, SIGHTINGS):
            await switch.put_sightings(await self._seen(seen))
            self._sightings += len(seen)

    async def _settle(self) -> int:
        merged = 0
        scopes = await self._store.scopes()
        self._progress.begin("duplicates", len(scopes))
        for scope in scopes:
            patterns = await self._store.placed(scope)
            pairs = await asyncio.to_thread(
                lambda these: list(duplicates(these, self._embedder.thresholds)), patterns
            )
            for gone, into in pairs:
                merged += await self._store.merge(scope, gone, into)
            self._progress.done(1)
        # Questions do not wait for the switch: what they showed meanwhile is of the old model.
        while await self._copy_sightings(SIGHTINGS):
            await self._store.adopt_sightings()
        self._progress.begin("old vectors", 0)
        while await self._store.drop_old():
            pass
        await self._store.settle()
        return merged
