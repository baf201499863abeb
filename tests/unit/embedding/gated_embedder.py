"""An `Embedder` whose answers a test can hold back and make fail."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import numpy as np

from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.embedding.embedder import DIMENSIONS, Vectors


def vector_of(text: str) -> Vectors:
    """The vector that GatedEmbedder gives `text`, shape (DIMENSIONS,)."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    raw = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return (raw / np.linalg.norm(raw)).astype(np.float32)


class GatedEmbedder:
    """Records every call in `calls`; answers when `gate` is set; raises `failure` if there is one."""

    model = "gated/1/sentence-1"
    dimensions = DIMENSIONS
    thresholds = Thresholds(merge=0.9, cluster=0.8, retrieval=0.4)

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.cancelled = 0
        self.closed = False
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._called = asyncio.Condition()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        async with self._called:
            self.calls.append(list(texts))
            self._called.notify_all()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        return np.stack([vector_of(text) for text in texts])

    async def aclose(self) -> None:
        self.closed = True

    async def called(self, times: int) -> None:
        """Waits until `embed` was entered `times` times."""
        async with self._called:
            await self._called.wait_for(lambda: len(self.calls) >= times)
