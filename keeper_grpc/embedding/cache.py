"""Caches vectors, in memory (bounded) and behind it in the database."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import structlog

from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.embedding.embedder import DIMENSIONS, Embedder, Vectors
from keeper_grpc.embedding.vectors import no_vectors, refuse_empty
from keeper_grpc.embedding.wrapper import EmbedderWrapper
from keeper_grpc.spans import Spans, context_of, current

log = structlog.get_logger()

STORE_TIMEOUT = 1.0
"""Seconds for one read or write of the store. Embedding again takes a few milliseconds with the bundled
model and some hundred with OpenAI, so a longer wait saves nothing."""

UNIT_TOLERANCE = 1e-3
"""A stored row whose length is off by more is damaged."""


class VectorStore(Protocol):
    """Vectors by model and content hash, kept across restarts and shared between processes.

    Rows are float32 of shape (DIMENSIONS,), returned bit for bit as they were put. `get` leaves
    out what it does not have; `put` of a key that exists changes nothing. Both may raise any
    error: the cache goes on without the store.
    """

    async def get(self, model: str, hashes: Sequence[bytes]) -> Mapping[bytes, Vectors]: ...

    async def put(self, model: str, items: Mapping[bytes, Vectors]) -> None: ...


class CachedEmbedder(EmbedderWrapper):
    """An `Embedder` with a cache by hash: no text is kept, in memory or in the store.

    At most `max_entries` vectors of 6 KB stay in memory; the least recently used are dropped first.
    Concurrent calls for one text share one embedding of it. When the store fails or is slow, texts are
    embedded again; the call does not fail.

    Counters, in texts: `hits` (from memory, or from an embedding in progress), `store_hits`,
    `misses` (sent to `inner`). `store_failures` counts calls of the store that failed.
    """

    def __init__(
        self,
        inner: Embedder,
        store: VectorStore | None = None,
        *,
        max_entries: int = 10_000,
        store_timeout: float = STORE_TIMEOUT,
        spans: Spans | None = None,
    ) -> None:
        super().__init__(inner)
        self._store = store
        self._max_entries = max_entries
        self._store_timeout = store_timeout
        self._spans = spans or Spans()
        self._memory: OrderedDict[bytes, Vectors] = OrderedDict()
        self._running: dict[bytes, asyncio.Future[Vectors]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.hits = 0
        self.store_hits = 0
        self.misses = 0
        self.store_failures = 0

    @property
    def uncached(self) -> Embedder:
        """The model behind the cache: what it embeds is remembered nowhere."""
        return self._inner

    def __len__(self) -> int:
        """Vectors in memory."""
        return len(self._memory)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder.embed`. A cancelled call does not disturb others that await the same texts."""
        refuse_empty(texts)
        if not texts:
            return no_vectors()
        keys = [content_hash(self.model, text) for text in texts]
        rows: dict[bytes, Vectors] = {}
        awaited: dict[bytes, asyncio.Future[Vectors]] = {}
        missing: dict[bytes, str] = {}
        for key, text in zip(keys, texts, strict=True):
            if key in rows or key in awaited:
                self.hits += 1
            elif key in self._memory:
                self._memory.move_to_end(key)
                rows[key] = self._memory[key]
                self.hits += 1
            elif key in self._running:
                awaited[key] = self._running[key]
                self.hits += 1
            else:
                awaited[key] = self._running[key] = asyncio.get_running_loop().create_future()
                missing[key] = text
        if awaited:
            with self._spans.step("embed", texts=len(awaited), missing=len(missing)):
                if missing:
                    self._start(missing)
                # wait() does not cancel the futures with this caller: others share them.
                await asyncio.wait(awaited.values())
                rows.update((key, future.result()) for key, future in awaited.items())
        if len(keys) == 1:
            return rows[keys[0]][np.newaxis].copy()
        return np.stack([rows[key] for key in keys])

    async def aclose(self) -> None:
        """Wait until running embeddings have reached the store (its timeouts bound this), then close `inner`."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._inner.aclose()

    def _start(self, missing: dict[bytes, str]) -> None:
        # It takes over the caller's trace but not its log context: callers that join later have call ids of
        # their own.
        task = asyncio.get_running_loop().create_task(
            self._fill(missing), context=context_of(current())
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fill(self, missing: dict[bytes, str]) -> None:
        """Read or compute every missing vector, and resolve its future."""
        made: dict[bytes, Vectors] = {}
        try:
            found = await self._stored(list(missing))
            self.store_hits += len(found)
            for key, row in found.items():
                self._resolve(key, row)
            fresh = {key: text for key, text in missing.items() if key not in found}
            if fresh:
                self.misses += len(fresh)
                vectors = await self._inner.embed(list(fresh.values()))
                # Copies: a row of the batch's array would keep the whole array in memory.
                made = {key: row.copy() for key, row in zip(fresh, vectors, strict=True)}
                for key, row in made.items():
                    self._resolve(key, row)
        except asyncio.CancelledError:
            # The callers are not cancelled: they wait for a text, not for this task.
            self._fail(missing, EmbedderUnavailable("the embedder is closing"))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the callers' to handle
            self._fail(missing, error)
        if made:
            # The callers have their answers already.
            await self._keep(made)

    def _resolve(self, key: bytes, row: Vectors) -> None:
        self._memory[key] = row
        if len(self._memory) > self._max_entries:
            self._memory.popitem(last=False)
        self._running.pop(key).set_result(row)

    def _fail(self, keys: Iterable[bytes], error: Exception) -> None:
        for key in keys:
            future = self._running.pop(key, None)
            if future is not None:
                future.set_exception(error)
                # Retrieved, so that asyncio does not report it when every caller is gone.
                future.exception()

    async def _stored(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """The vectors of `keys` that the store has, without damaged rows."""
        if self._store is None:
            return {}
        try:
            async with asyncio.timeout(self._store_timeout):
                found = await self._store.get(self.model, keys)
                return {
                    key: found[key].copy() for key in keys if key in found and _sound(found[key])
                }
        except Exception as error:  # noqa: BLE001 - a cache must not make a call fail
            self._store_failed("get", error)
            return {}

    async def _keep(self, rows: Mapping[bytes, Vectors]) -> None:
        if self._store is None:
            return
        try:
            async with asyncio.timeout(self._store_timeout):
                await self._store.put(self.model, rows)
        except Exception as error:  # noqa: BLE001 - as above
            self._store_failed("put", error)

    def _store_failed(self, operation: str, error: Exception) -> None:
        self.store_failures += 1
        # Only the type, because a database's message may quote parameters.
        log.warning("embedding_store_failed", operation=operation, kind=type(error).__name__)


def content_hash(model: str, text: str) -> bytes:
    """The cache key of `text` under `model`: 32 bytes."""
    return hashlib.sha256(f"{model}\0{text}".encode()).digest()


def _sound(row: Vectors) -> bool:
    return (
        row.shape == (DIMENSIONS,)
        and row.dtype == np.float32
        # False for NaN too.
        and bool(abs(np.linalg.norm(row) - 1) <= UNIT_TOLERANCE)
    )
