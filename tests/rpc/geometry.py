"""Texts at chosen angles: what the embeddings stand-in answers where a test decides on cosines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.integration.openai_stand_in import hashed_vector


class Geometry:
    """Places texts that contain certain words; every other text has a direction of its own.

    Texts of their own are nearly orthogonal (cosine below 0.15), equal texts are equal.
    """

    def __init__(self) -> None:
        self._placed: dict[str, NDArray[np.float64]] = {}

    def __call__(self, text: str) -> Sequence[float]:
        """The vector of a text, of unit length."""
        for words, vector in self._placed.items():
            if words in text:
                return [float(component) for component in vector]
        return hashed_vector(text)

    def together(self, *texts: str) -> None:
        """Whatever contains one of these has the same vector."""
        for words in texts:
            self._placed[words] = np.asarray(hashed_vector(texts[0]))

    def apart(self, one: str, other: str, *, cosine: float) -> None:
        """What contains the one and what contains the other have exactly this cosine."""
        first, second = np.asarray(hashed_vector(one)), np.asarray(hashed_vector(other))
        across = second - (second @ first) * first
        across /= np.linalg.norm(across)
        self._placed[one] = first
        self._placed[other] = cosine * first + np.sqrt(1 - cosine**2) * across
