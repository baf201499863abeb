"""Runs a model in one worker thread, so that computing never blocks the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.embedding.embedder import DIMENSIONS, Vectors
from keeper_grpc.embedding.vectors import no_vectors, refuse_empty, unit_vectors

TURN = 8
"""Texts of one caller that are embedded before the next caller's turn: about 20 ms of the bundled model.
A catalog of thousands must not delay the one insight that a customer waits for."""

MAX_WAITING = 2_000
"""Most texts that wait, about five seconds of the bundled model: a further call would miss its deadline
anyway, and is refused at once."""

Encode = Callable[[str], NDArray[Any]]
"""One text to one vector of the model's own width, shape (width,). Called in the worker thread."""


class ThreadedModel:
    """Runs `encode` in a thread of its own, one text at a time.

    The matrix products of a batch round differently: the same text would get a slightly different vector in
    another batch (2e-7 measured), but equal texts must give equal bits. On one core batching would save two
    fifths of the time.
    """

    def __init__(self, encode: Encode, *, max_waiting: int = MAX_WAITING) -> None:
        self._encode = encode
        self._max_waiting = max_waiting
        self._waiting = 0
        self._closed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedding")

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder.embed`. A cancelled call stops after the turn that is being computed.

        Raises:
            EmbedderUnavailable: the queue is full, and nothing was computed; or the model is closed.
            ValueError: one of `texts` is empty.
        """
        refuse_empty(texts)
        if not texts:
            return no_vectors()
        if self._waiting and self._waiting + len(texts) > self._max_waiting:
            raise EmbedderUnavailable("the embedding model is busy")
        self._waiting += len(texts)
        try:
            turns = [
                await self._turn(texts[start : start + TURN])
                for start in range(0, len(texts), TURN)
            ]
        finally:
            self._waiting -= len(texts)
        return np.concatenate(turns)

    async def aclose(self) -> None:
        """Refuse further turns, wait for the current one, and end the thread."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown)

    async def _turn(self, texts: Sequence[str]) -> Vectors:
        if self._closed:
            raise EmbedderUnavailable("the embedding model is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._compute, texts)

    def _compute(self, texts: Sequence[str]) -> Vectors:
        return unit_vectors(np.stack([self._encode(text) for text in texts]))


class ThreadedEmbedder:
    """A model of this machine under the `Embedder` contract, in a thread of its own."""

    def __init__(
        self, model: str, thresholds: Thresholds, encode: Encode, *, max_waiting: int
    ) -> None:
        self._model = model
        self._thresholds = thresholds
        self._worker = ThreadedModel(encode, max_waiting=max_waiting)

    @property
    def model(self) -> str:
        """As `Embedder.model`."""
        return self._model

    @property
    def dimensions(self) -> int:
        """As `Embedder.dimensions`."""
        return DIMENSIONS

    @property
    def thresholds(self) -> Thresholds:
        """As `Embedder.thresholds`."""
        return self._thresholds

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder.embed`."""
        return await self._worker.embed(texts)

    async def aclose(self) -> None:
        """As `Embedder.aclose`."""
        await self._worker.aclose()
