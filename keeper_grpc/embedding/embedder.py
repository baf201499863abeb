"""The contract that every embedding backend keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.patterns.merging.similarity import Thresholds

DIMENSIONS = 1536
"""Width of every stored vector: text-embedding-3-small's. Narrower models are zero-padded, which
keeps every cosine."""

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Turns anonymized text into unit vectors.

    `model` names model, version and rendering; vectors of different `model` are never compared.
    `embed` returns float32 of shape (len(texts), DIMENSIONS), rows of unit length, in the order of
    `texts`; it raises `EmbedderUnavailable` when the backend cannot answer in time.
    """

    @property
    def model(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def thresholds(self) -> Thresholds: ...

    async def embed(self, texts: Sequence[str]) -> Vectors: ...

    async def aclose(self) -> None: ...
