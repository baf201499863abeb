from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from keeper_grpc.embedding.embedder import DIMENSIONS
from keeper_grpc.embedding.vectors import NotAnEmbedding, refuse_empty, unit_vectors


def matrices(draw: st.DrawFn) -> NDArray[np.float32]:
    """What models return: some rows of some width, not normalized."""
    rows = draw(st.integers(1, 5))
    width = draw(st.sampled_from([1, 3, 384, 512, DIMENSIONS]))
    seed = draw(st.integers(0, 2**32 - 1))
    scale = draw(st.sampled_from([1e-6, 1.0, 1e6]))
    return (np.random.default_rng(seed).standard_normal((rows, width)) * scale).astype(np.float32)


@given(raw=st.composite(matrices)())
def test_padding_keeps_every_cosine_and_makes_unit_rows(raw: NDArray[np.float32]) -> None:
    """Zero-padded rows have length one and the same cosines as the model's own vectors."""
    exact = raw.astype(np.float64)
    directions = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    vectors = unit_vectors(raw)
    assert vectors.shape == (len(raw), DIMENSIONS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors @ vectors.T, directions @ directions.T, atol=1e-6)


@pytest.mark.parametrize(
    "raw",
    [
        np.ones(4),
        np.ones((1, DIMENSIONS + 1)),
        np.ones((1, 0)),
        np.zeros((1, 4)),
        np.array([[1.0, np.nan]]),
        np.array([[1.0, np.inf]]),
    ],
    ids=["vector", "too wide", "no width", "zero", "nan", "infinite"],
)
def test_what_cannot_be_embeddings_is_refused(raw: NDArray[np.float64]) -> None:
    """Odd model output raises instead of becoming a vector that compares to nothing."""
    with pytest.raises(NotAnEmbedding):
        unit_vectors(raw)


def test_an_empty_text_is_refused() -> None:
    """One empty text among good ones raises."""
    with pytest.raises(ValueError, match="empty text"):
        refuse_empty(["a", ""])
