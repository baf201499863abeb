"""GetPatternSupport: who stands behind a pattern, so that an operator sees why it is not published."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.errors import PatternNotFound
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.support import Support


class SupportStore(Protocol):
    """Who has evidence for which pattern."""

    async def find_support(self, pattern_id: UUID, rule: PublicationRule) -> Support | None:
        """The support of a pattern, published or not; None where there is no such pattern."""


class GetPatternSupport:
    """The use case. One instance serves all calls."""

    def __init__(self, *, store: SupportStore, rule: PublicationRule) -> None:
        self._store = store
        self._rule = rule

    async def __call__(self, pattern_id: UUID) -> Support:
        """The support of a pattern. Raises PatternNotFound and StorageUnavailable."""
        support = await self._store.find_support(pattern_id, self._rule)
        if support is None:
            raise PatternNotFound(for_operator=True)
        return support
