"""The vectors of what clusters do, by which their novelty is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice
from uuid import UUID

import numpy as np
import structlog

from keeper_grpc.domain.emerging.words import Sentence
from keeper_grpc.domain.errors import Unavailable
from keeper_grpc.usecases.ports import Embeds, Vector

log = structlog.get_logger()

ACTIONS = 8
"""Actions of a cluster that are embedded, the nearest. Captures have embedded theirs before, so most are cached."""

PATIENCE = 1.0
"""Seconds for the vectors of a step, which holds its transaction meanwhile."""


class ActionVectors:
    """Embeds the actions of clusters. Without a model, or while it does not answer, there are none."""

    def __init__(self, embedder: Embeds | None, patience: float = PATIENCE) -> None:
        self._embedder = embedder
        self._patience = patience

    async def of(self, said: Mapping[UUID, Sequence[Sentence]]) -> Mapping[UUID, Vector]:
        """The mean direction of each cluster's actions; absent where it has none."""
        actions = {cluster_id: _nearest(sentences) for cluster_id, sentences in said.items()}
        texts = list(dict.fromkeys(text for own in actions.values() for text in own))
        if self._embedder is None or not texts:
            return {}
        try:
            async with asyncio.timeout(self._patience):
                vectors = dict(zip(texts, await self._embedder.embed(texts), strict=True))
        except (Unavailable, TimeoutError):
            log.warning("emerging_actions_not_embedded", actions=len(texts))
            return {}
        return {
            cluster_id: _mean([vectors[text] for text in own])
            for cluster_id, own in actions.items()
            if own
        }


def _nearest(sentences: Sequence[Sentence]) -> list[str]:
    nearest = sorted(sentences, key=lambda each: (each.distance, each.action))
    return list(islice(dict.fromkeys(each.action for each in nearest if each.action), ACTIONS))


def _mean(vectors: Sequence[Vector]) -> Vector:
    total = np.sum(vectors, axis=0)
    unit: Vector = (total / max(np.linalg.norm(total), 1e-30)).astype(np.float32)
    return unit
