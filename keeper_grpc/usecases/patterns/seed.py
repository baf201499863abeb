"""Seeding: stores the catalog's authored patterns as patterns that observations merge into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from keeper_grpc.domain.insight import Identifiers, Insight
from keeper_grpc.domain.observation import Vectors
from keeper_grpc.domain.patterns.pattern import AuthoredPattern, Seeded
from keeper_grpc.usecases.ports import Anonymizes, Clock, Embeds, NewId


@dataclass(frozen=True, slots=True)
class SeedResult:
    """The numbers of authored patterns that were added, upgraded and left unchanged."""

    added: int
    upgraded: int
    unchanged: int


class SeedStore(Protocol):
    """The store of authored patterns."""

    async def seed(
        self,
        pattern_id: UUID,
        pattern: AuthoredPattern,
        embedding_model: str,
        vectors: Vectors,
        now: datetime,
    ) -> Seeded:
        """Add a pattern, or replace a lower version of it and keep its evidence."""

    async def has_seeded(self, catalog_version: int, embedding_model: str) -> bool:
        """Whether this version of the catalog, or a later one, was seeded for this model."""

    async def record_seeded(
        self, catalog_version: int, embedding_model: str, now: datetime
    ) -> None:
        """Record that this version of the catalog is completely seeded."""


class SeedCatalog:
    """The use case. Running it again changes nothing; a newer catalog upgrades its patterns."""

    def __init__(
        self,
        *,
        anonymizer: Anonymizes,
        embedder: Embeds,
        store: SeedStore,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._anonymizer = anonymizer
        self._embedder = embedder
        self._store = store
        self._clock = clock
        self._new_id = new_id

    async def once(
        self, catalog_version: int, patterns: Sequence[AuthoredPattern]
    ) -> SeedResult | None:
        """Seed the patterns unless this version of the catalog was seeded before: then None.

        Vectors of different models never meet, so each model's space is seeded for itself. Raises
        EmbedderUnavailable and StorageUnavailable; the next call seeds the patterns that are missing.
        """
        if await self._store.has_seeded(catalog_version, self._embedder.model):
            return None
        return await self(catalog_version, patterns)

    async def __call__(
        self, catalog_version: int, patterns: Sequence[AuthoredPattern]
    ) -> SeedResult:
        """Seed the patterns. Raises EmbedderUnavailable and StorageUnavailable."""
        observed = [self._as_observed(pattern) for pattern in patterns]
        texts = [text for pattern, rendered in observed for text in (rendered, pattern.action)]
        vectors = await self._embedder.embed(texts)
        counts = dict.fromkeys(Seeded, 0)
        for number, (pattern, _) in enumerate(observed):
            pair = Vectors(*vectors[2 * number : 2 * number + 2])
            counts[
                await self._store.seed(
                    self._new_id(), pattern, self._embedder.model, pair, self._clock()
                )
            ] += 1
        await self._store.record_seeded(catalog_version, self._embedder.model, self._clock())
        return SeedResult(counts[Seeded.ADDED], counts[Seeded.UPGRADED], counts[Seeded.UNCHANGED])

    def _as_observed(self, pattern: AuthoredPattern) -> tuple[AuthoredPattern, str]:
        """With conditions as an account's would look after the anonymizer, so that the two meet.

        The words are ours and stay as they are.
        """
        insight = self._anonymizer.anonymize(
            Insight(
                insight_id="",
                type=pattern.pattern_type,
                business_category=pattern.business_category,
                conditions=pattern.conditions,
                action=pattern.action,
                script="",
                confidence=0.0,
            ),
            Identifiers(),
        ).insight
        observed = replace(pattern, conditions=insight.conditions)
        return observed, replace(insight, action=pattern.action).render()
