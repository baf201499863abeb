"""What docs/adr/0009 promises of the bundled model's clusters, on the texts of the bench."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from itertools import count
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from keeper_grpc.domain.clusters import Clusters
from keeper_grpc.domain.insight import AnonymizedInsight
from keeper_grpc.domain.reclustering import adjusted_rand, recluster
from keeper_grpc.embedding.local import THRESHOLDS, LocalEmbedder

TEXTS = Path(__file__).parents[2] / "bench" / "emerging_texts.jsonl"
ORDERS = 11

Matrix = NDArray[np.float32]
Labels = NDArray[np.int64]


@pytest.fixture(scope="module")
async def texts() -> tuple[Matrix, Labels]:
    """The vectors of the labelled texts, as the service embeds them, and the type of each."""
    rows = [json.loads(line) for line in TEXTS.read_text(encoding="utf-8").splitlines()]
    embedder = LocalEmbedder()
    try:
        vectors = await embedder.embed(
            [
                AnonymizedInsight(
                    type=row["type"],
                    business_category=row["business_category"],
                    conditions=row["conditions"],
                    action=row["action"],
                    script="",
                    confidence=0.5,
                    dollar_value=0.0,
                    potential_value=0.0,
                ).render()
                for row in rows
            ]
        )
    finally:
        await embedder.aclose()
    types = np.unique([row["type"] for row in rows], return_inverse=True)[1]
    return np.ascontiguousarray(vectors), types.astype(np.int64)


def by_type(vectors: Matrix, types: Labels, cluster: Callable[[Matrix], Labels]) -> Labels:
    """Cluster each type by itself, as the detector does; labels of different types differ."""
    labels = np.empty(len(types), np.int64)
    for kind in np.unique(types):
        members = np.flatnonzero(types == kind)
        labels[members] = kind * len(types) + cluster(vectors[members])
    return labels


def incremental(vectors: Matrix) -> Labels:
    """One sighting after the other."""
    following = count()
    assigned = Clusters(THRESHOLDS.cluster).assign(list(vectors), lambda: UUID(int=next(following)))
    return np.array([cluster_id.int for cluster_id in assigned], np.int64)


def full(vectors: Matrix) -> Labels:
    """The full pass."""
    return recluster(vectors, THRESHOLDS.cluster)


def test_incremental_clusters_agree_with_a_full_pass(texts: tuple[Matrix, Labels]) -> None:
    """Between two passes, the clusters are those of a pass by 0.9, in the median of eleven orders."""
    vectors, types = texts
    exact = by_type(vectors, types, full)
    chance = np.random.default_rng(1)
    agreement = []
    for _ in range(ORDERS):
        order = chance.permutation(len(types))
        found = np.empty(len(types), np.int64)
        found[order] = by_type(vectors[order], types[order], incremental)
        agreement.append(adjusted_rand(found, exact))
    assert statistics.median(agreement) >= 0.9
