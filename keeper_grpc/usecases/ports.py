"""The Protocols that several use cases need. `composition/` chooses the implementations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.insight import Anonymized, Identifiers, Insight
from keeper_grpc.domain.patterns.merging.similarity import Thresholds

Vector: TypeAlias = NDArray[np.float32]
"""One unit vector of the current embedding model, shape (1536,)."""

Clock: TypeAlias = Callable[[], datetime]
"""Returns the current time, in UTC."""

CLOCK_SKEW = timedelta(minutes=5)
"""How far a caller's clock may run ahead before its times count as in the future."""

NewId: TypeAlias = Callable[[], UUID]


class Anonymizes(Protocol):
    """Makes an insight safe to keep; fails closed instead of raising."""

    def anonymize(self, insight: Insight, identifiers: Identifiers) -> Anonymized: ...

    def anonymize_label(self, business_category: str) -> str: ...


class Embeds(Protocol):
    """Turns anonymized text into unit vectors; see embedding/embedder.py for the contract."""

    @property
    def model(self) -> str: ...

    @property
    def thresholds(self) -> Thresholds: ...

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]: ...
