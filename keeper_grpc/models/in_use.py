"""Following the database to another embedding model without a restart (docs/models.md).

A call that finds the database moved is made again with the new model, so nothing depends on how soon a process
notices. It looks every POLL all the same, to load the next model before it is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, NoReturn, ParamSpec, TypeVar
from uuid import uuid4

import structlog

from keeper_grpc.domain.errors import EmbedderUnavailable, PatternsMoved, StorageUnavailable
from keeper_grpc.domain.patterns.space import NamedModel
from keeper_grpc.embedding.cache import CachedEmbedder
from keeper_grpc.embedding.unusable import ModelUnusable
from keeper_grpc.models.make import make_model
from keeper_grpc.settings import Settings
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.models.space import PostgresSpace
from keeper_grpc.telemetry.telemetry import Telemetry

log = structlog.get_logger()

POLL = 1.0
"""Seconds between looks at the database's model: one row."""

ATTEMPTS = 4
"""Of a call that finds patterns moved. One move moves them twice: to the new model, and into each other."""

P = ParamSpec("P")
R = TypeVar("R")


class ModelInUse:
    """The model of this process, and the next one while the database is being moved to it."""

    def __init__(
        self, settings: Settings, pool: Database, telemetry: Telemetry, first: CachedEmbedder
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._telemetry = telemetry
        self._spaces = PostgresSpace(pool)
        self._process_id = uuid4()
        self._following = asyncio.Lock()
        self._prepared: CachedEmbedder | None = None
        self._problem = ""
        self._lost: ModelUnusable | None = None
        self._all = [first]

    @property
    def current(self) -> CachedEmbedder:
        """The model to answer with."""
        return self._all[-1]

    @property
    def hits(self) -> int:
        return sum(each.hits for each in self._all)

    @property
    def store_hits(self) -> int:
        return sum(each.store_hits for each in self._all)

    @property
    def misses(self) -> int:
        return sum(each.misses for each in self._all)

    @property
    def store_failures(self) -> int:
        return sum(each.store_failures for each in self._all)

    async def follow(self) -> CachedEmbedder:
        """The database's model, from now on the one in use.

        Raises EmbedderUnavailable when this process cannot have it, and StorageUnavailable.
        """
        async with self._following:
            space = await self._spaces.read()
            if space is None or space.present.model == self.current.model:
                return self.current
            try:
                embedder = await self._made(space.present)
            except ModelUnusable as error:
                self._lost = error
                raise EmbedderUnavailable(
                    "this server cannot follow the network to its new embedding model"
                ) from error
            self._prepared = None
            # Those before it are kept until the end: calls may still be using one.
            self._all.append(embedder)
            log.info("embedding_model_followed", model=embedder.model)
            return embedder

    async def run(self) -> NoReturn:
        """Look, for ever. Raises ModelUnusable when the database has a model that this process cannot have."""
        while True:
            try:
                await self._look()
            except StorageUnavailable:
                log.warning("embedding_model_unknown")
            except EmbedderUnavailable:
                pass  # noted as lost
            if self._lost is not None:
                log.error("embedding_model_lost", reason=str(self._lost))
                raise self._lost
            await asyncio.sleep(POLL)

    async def aclose(self) -> None:
        """Close every model."""
        for embedder in [*self._all, *([self._prepared] if self._prepared else [])]:
            await embedder.aclose()

    async def _look(self) -> None:
        space = await self._spaces.read()
        if space is None:
            return
        if space.present.model != self.current.model:
            await self.follow()
        elif space.next is not None:
            await self._prepare(space.next)
        elif self._prepared is not None:
            # The move was cancelled.
            dropped, self._prepared = self._prepared, None
            await dropped.aclose()

    async def _prepare(self, named: NamedModel) -> None:
        async with self._following:
            if self._prepared is None or self._prepared.model != named.model:
                try:
                    dropped, self._prepared = self._prepared, await self._made(named)
                    if dropped is not None:  # of a move that was given up for this one
                        await dropped.aclose()
                    self._problem = ""
                    log.info("embedding_model_prepared", model=named.model)
                except ModelUnusable as error:
                    if str(error) != self._problem:
                        log.warning("embedding_model_not_prepared", reason=str(error))
                    self._problem = str(error)
            ready = self._prepared.model if self._prepared else ""
        await self._spaces.announce(self._process_id, ready, self._problem)

    async def _made(self, named: NamedModel) -> CachedEmbedder:
        if self._prepared is not None and self._prepared.model == named.model:
            return self._prepared
        embedder = await make_model(self._settings, named.recipe, self._pool, self._telemetry)
        if embedder.model != named.model:
            await embedder.aclose()
            raise ModelUnusable(
                f"the database's model is {named.model}, and this server's is {embedder.model}: give all "
                "servers the same release and model"
            )
        return embedder


class OnModelInUse(Generic[P, R]):
    """A use case on the model in use: made anew for another one, and called again when patterns moved."""

    def __init__(
        self, models: ModelInUse, make: Callable[[CachedEmbedder], Callable[P, Awaitable[R]]]
    ) -> None:
        self._models = models
        self._make = make
        self._on = models.current
        self._use_case = make(self._on)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._of(self._models.current)(*args, **kwargs)
            except PatternsMoved:
                await self._models.follow()
        return await self._of(self._models.current)(*args, **kwargs)

    def _of(self, embedder: CachedEmbedder) -> Callable[P, Awaitable[R]]:
        if embedder is not self._on:
            self._on, self._use_case = embedder, self._make(embedder)
        return self._use_case
