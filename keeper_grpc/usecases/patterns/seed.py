"""Seeding: the catalog's authored patterns become patterns that observations can join."""

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
    """How many authored patterns were added, upgraded and left alone."""

    added: int
    upgraded: int
    unchanged: int


class SeedStore(Protocol):
    """Where authored patterns go."""

    async def seed(
        self,
        pattern_id: UUID,
        pattern: AuthoredPattern,
        embedding_model: str,
        vectors: Vectors,
        now: datetime,
    ) -> Seeded:
        """Add it, or replace a lower version of it, keeping the evidence it has gathered."""


class SeedCatalog:
    """The use case. Running it again changes nothing; a newer catalog upgrades what it names."""

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

    async def __call__(self, patterns: Sequence[AuthoredPattern]) -> SeedResult:
        """Seed the patterns. Raises EmbedderUnavailable and StorageUnavailable."""
        counts = dict.fromkeys(Seeded, 0)
        for authored in patterns:
            pattern, rendered = self._as_observed(authored)
            sentence, action = await self._embedder.embed([rendered, pattern.action])
            vectors = Vectors(sentence, action)
            counts[
                await self._store.seed(
                    self._new_id(), pattern, self._embedder.model, vectors, self._clock()
                )
            ] += 1
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
