"""Turns a model's output into the vectors that the `Embedder` contract promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.embedding.embedder import DIMENSIONS, Vectors


class NotAnEmbedding(ValueError):
    """The model's output is no set of embeddings. The message says why, without the text."""


def unit_vectors(raw: NDArray[Any]) -> Vectors:
    """Rows of any width up to DIMENSIONS, as float32 unit rows of exactly DIMENSIONS.

    Zeros fill the missing width: they add nothing to a dot product, so every cosine stays. Lengths
    are computed in float64, because the sum of 1,536 squares in float32 would cost the last digits.

    Raises:
        NotAnEmbedding: not a matrix, too wide, not finite, or a row without direction.
    """
    if raw.ndim != 2:  # noqa: PLR2004 - a matrix has two axes
        raise NotAnEmbedding(f"expected a matrix, got {raw.ndim} axes")
    count, width = raw.shape
    if not 0 < width <= DIMENSIONS:
        raise NotAnEmbedding(f"expected 1 to {DIMENSIONS} dimensions, got {width}")
    exact = raw.astype(np.float64)
    if not np.isfinite(exact).all():
        raise NotAnEmbedding("a component is not finite")
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise NotAnEmbedding("a vector has no direction")
    vectors = np.zeros((count, DIMENSIONS), dtype=np.float32)
    vectors[:, :width] = exact / lengths
    return vectors


def no_vectors() -> Vectors:
    """The answer to no texts."""
    return np.zeros((0, DIMENSIONS), dtype=np.float32)


def refuse_empty(texts: Sequence[str]) -> None:
    """Refuse an empty text: it means nothing, and OpenAI refuses a whole request that holds one.

    `AnonymizedInsight.render` never makes one, so this is a fault of the program, not of a caller.

    Raises:
        ValueError: one of `texts` is empty.
    """
    if not all(texts):
        raise ValueError("an empty text cannot be embedded")
