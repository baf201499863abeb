"""The base of the wrappers of an embedder: cache, batching, measuring."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.embedding.embedder import Embedder, Vectors


class EmbedderWrapper(ABC):
    """An `Embedder` of the same model as `inner`; closing it closes `inner`."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner

    @property
    def model(self) -> str:
        return self._inner.model

    @property
    def dimensions(self) -> int:
        return self._inner.dimensions

    @property
    def thresholds(self) -> Thresholds:
        return self._inner.thresholds

    @abstractmethod
    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder.embed`."""

    async def aclose(self) -> None:
        await self._inner.aclose()
