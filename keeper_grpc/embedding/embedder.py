"""The contract that every embedding backend keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 1536
"""Width of every stored vector: text-embedding-3-small's. Narrower models are zero-padded, which
keeps every cosine."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Cosine similarities at which this model's vectors mean the same, the same kind, anything.

    They belong to a model and a rendering and are calibrated by `bench/thresholds.py`.
    merge: at or above, two insights of one scope may be one pattern.
    cluster: at or above, two sightings belong to one emerging pattern.
    retrieval: below, a pattern says nothing about an insight.
    """

    merge: float
    cluster: float
    retrieval: float


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
