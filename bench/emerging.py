"""How well, how fast and in how much memory sightings become clusters.

    python bench/emerging.py                       1,000, 10,000 and 100,000 sightings
    python bench/emerging.py --sizes 1000 10000    other sizes
    python bench/emerging.py --limit 600           longer patience with the peers, in seconds

Quality: bench/emerging_texts.jsonl holds wordings of known clusters, rendered and embedded as the
service does. ARI is the adjusted Rand index (1 the same clustering, 0 as if by chance), truth the
clusters as written, exact the full pass. Incremental clustering depends on the order: the row is the
median of eleven orders, with the least and the greatest.

Cost: vectors around the labelled clusters' centres, each topic turned in its own direction, one in
twenty a topic of its own. Each method runs in a process of its own with one BLAS thread; seconds are
processor time, MB what its peak adds to the vectors. Average linkage (scipy), DBSCAN and HDBSCAN
(scikit-learn) see the same vectors and the same threshold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

# Before numpy is imported: one BLAS thread, as the service has (ADR 2).
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.cluster import DBSCAN, HDBSCAN  # type: ignore[import-untyped] # it has no stubs

from keeper_grpc.domain.emerging.clusters import Clusters
from keeper_grpc.domain.emerging.reclustering import adjusted_rand, recluster
from keeper_grpc.domain.emerging.tally import Fact, Tally
from keeper_grpc.domain.insight import AnonymizedInsight
from keeper_grpc.embedding.local import THRESHOLDS, LocalEmbedder

TEXTS = Path(__file__).with_name("emerging_texts.jsonl")
WIDTH = 512
"""Components of the bundled model; the rest of the 1,536 are zero."""
BATCH = 500
ORDERS = 11
PROBES = 200
PER_TOPIC = 50
LONE_SHARE = 0.05
TURN = 0.7
"""Length of a topic's own direction beside its labelled centre: topics of one centre are at 0.67 of
each other, just below the bundled model's threshold."""
PAIRWISE_BYTES = 8
MOST_PAIRWISE = 4_000_000_000
"""Bytes of pairwise distances beyond which a peer is not started."""

Matrix = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """The labelled set: unit vectors, the type and the true cluster of each."""

    vectors: Matrix
    types: Labels
    truth: Labels


async def labelled() -> Labelled:
    """Render and embed the labelled set."""
    rows = [json.loads(line) for line in TEXTS.read_text(encoding="utf-8").splitlines()]
    texts = [
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

    embedder = LocalEmbedder()
    try:
        vectors = await embedder.embed(texts)
    finally:
        await embedder.aclose()
    return Labelled(
        np.ascontiguousarray(vectors[:, :WIDTH]),
        np.unique([row["type"] for row in rows], return_inverse=True)[1].astype(np.int64),
        np.unique([row["cluster"] for row in rows], return_inverse=True)[1].astype(np.int64),
    )


def by_type(data: Labelled, cluster: Callable[[Matrix], Labels]) -> Labels:
    """Cluster each type by itself, as the detector does; labels of different types differ."""
    labels = np.empty(len(data.truth), np.int64)
    used = 0
    for kind in np.unique(data.types):
        members = np.flatnonzero(data.types == kind)
        found = np.unique(cluster(data.vectors[members]), return_inverse=True)[1]
        labels[members] = used + found
        used += int(found.max()) + 1
    return labels


def incremental(vectors: Matrix) -> Labels:
    """What the detector does between full passes."""
    clusters = Clusters(THRESHOLDS.cluster)
    ids: list[UUID] = []
    for start in range(0, len(vectors), BATCH):
        ids += clusters.assign(list(vectors[start : start + BATCH]), uuid4)
    numbers = {cluster_id: number for number, cluster_id in enumerate(dict.fromkeys(ids))}
    return np.array([numbers[cluster_id] for cluster_id in ids], np.int64)


def full(vectors: Matrix) -> Labels:
    """The full pass."""
    return recluster(vectors, THRESHOLDS.cluster)


def average_linkage(vectors: Matrix) -> Labels:
    """Agglomerative clustering by mean cosine, cut at the threshold."""
    distances = 1 - vectors @ vectors.T
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(np.maximum(distances, 0), checks=False), "average")
    return fcluster(tree, 1 - THRESHOLDS.cluster, "distance").astype(np.int64)


def dbscan(vectors: Matrix) -> Labels:
    """scikit-learn's DBSCAN: neighbours are those at the threshold or above."""
    return alone(
        DBSCAN(eps=1 - THRESHOLDS.cluster, min_samples=3, metric="cosine").fit_predict(vectors)
    )


def hdbscan(vectors: Matrix) -> Labels:
    """scikit-learn's HDBSCAN: it has no threshold, only the least size of a cluster."""
    return alone(HDBSCAN(min_cluster_size=3, metric="cosine", copy=True).fit_predict(vectors))


def alone(labels: NDArray[Any]) -> Labels:
    """Each vector that was called noise as a cluster of its own, as a lone sighting is."""
    labels = labels.astype(np.int64)
    noise = np.flatnonzero(labels < 0)
    labels[noise] = labels.max(initial=0) + 1 + np.arange(len(noise))
    return labels


METHODS: dict[str, Callable[[Matrix], Labels]] = {
    "incremental": incremental,
    "full pass": full,
    "average linkage": average_linkage,
    "DBSCAN": dbscan,
    "HDBSCAN": hdbscan,
}
PAIRWISE = {"average linkage": 2, "HDBSCAN": 1}
"""Methods that hold n x n distances, and how many times."""


def in_orders(data: Labelled) -> list[Labels]:
    """Incremental clusterings, each of another order of the sightings; always the same orders."""
    chance = np.random.default_rng(1)
    found = []
    for _ in range(ORDERS):
        order = chance.permutation(len(data.truth))
        labels = np.empty(len(data.truth), np.int64)
        labels[order] = by_type(
            Labelled(data.vectors[order], data.types[order], data.truth[order]), incremental
        )
        found.append(labels)
    return found


def quality(data: Labelled) -> None:
    """Print how well each method finds the labelled clusters."""
    clusters, texts = len(np.unique(data.truth)), len(data.truth)
    print(f"{texts} wordings of {clusters} clusters, threshold {THRESHOLDS.cluster}")
    print(f"{'':<17}{'clusters':>9}{'ARI truth':>11}{'ARI exact':>11}")
    exact = by_type(data, full)
    found = in_orders(data)
    truth = sorted(adjusted_rand(labels, data.truth) for labels in found)
    agree = sorted(adjusted_rand(labels, exact) for labels in found)
    count = sorted(len(np.unique(labels)) for labels in found)[5]
    print(f"{'incremental':<17}{count:>9}{truth[5]:>11.3f}{agree[5]:>11.3f}", end="")
    print(f"   {truth[0]:.3f} to {truth[-1]:.3f}, {agree[0]:.3f} to {agree[-1]:.3f}")
    for name in list(METHODS)[1:]:
        labels = by_type(data, METHODS[name])
        against = adjusted_rand(labels, data.truth), adjusted_rand(labels, exact)
        print(f"{name:<17}{len(np.unique(labels)):>9}{against[0]:>11.3f}{against[1]:>11.3f}")


def synthetic(data: Labelled, size: int) -> tuple[Matrix, Labels]:
    """So many vectors around the labelled centres, in random order, and the topic of each."""
    chance = np.random.default_rng(size)
    centres = np.stack(
        [data.vectors[data.truth == cluster].mean(axis=0) for cluster in np.unique(data.truth)]
    )
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    members = np.einsum("ij,ij->i", data.vectors, centres[data.truth])
    lone = int(size * LONE_SHARE)
    topics = max(len(centres), size // PER_TOPIC)
    kinds = np.concatenate([chance.integers(0, topics, size - lone), topics + np.arange(lone)])
    kinds = chance.permutation(kinds)
    own = _units(chance.standard_normal((topics + lone, WIDTH)))
    base = _units(centres[np.arange(topics + lone) % len(centres)] + TURN * own)
    # As near to their centre as the labelled wordings are to theirs.
    cosine = chance.choice(members, size)[:, None].astype(np.float32)
    aside = chance.standard_normal((size, WIDTH), dtype=np.float32)
    towards = base[kinds]
    aside -= (aside * towards).sum(axis=1, keepdims=True) * towards
    return _units(cosine * towards + np.sqrt(1 - cosine**2) * _units(aside)), kinds


def _units(rows: NDArray[Any]) -> Matrix:
    units: Matrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return units


def step_cost(vectors: Matrix) -> tuple[float, float, int, float, float]:
    """Microseconds for one more sighting alone and in a batch, clusters, MB of sums, MB of counts."""
    clusters = Clusters(THRESHOLDS.cluster)
    known = vectors[:-PROBES]
    ids: list[UUID] = []
    for start in range(0, len(known), BATCH):
        ids += clusters.assign(list(known[start : start + BATCH]), uuid4)
    sums = (clusters.width + 1) * 4 * len(clusters) * 1.0e-6
    tracemalloc.start()
    tallies: dict[UUID, Tally] = {}
    seen = datetime(2026, 1, 1, tzinfo=UTC)
    for number, cluster_id in enumerate(ids):
        tallies.setdefault(cluster_id, Tally()).add(number, fact(number, seen))
    counts = tracemalloc.get_traced_memory()[0] * 1.0e-6
    tracemalloc.stop()
    began = time.process_time()
    for number, vector in enumerate(vectors[-PROBES:], start=len(known)):
        (cluster_id,) = clusters.assign([vector], uuid4)
        tallies.setdefault(cluster_id, Tally()).add(number, fact(number, seen))
    single = (time.process_time() - began) / PROBES * 1e6
    began = time.process_time()
    clusters.assign(list(vectors[:BATCH]), uuid4)
    batched = (time.process_time() - began) / min(BATCH, len(vectors)) * 1e6
    return single, batched, len(clusters), sums, counts


def fact(number: int, seen: datetime) -> Fact:
    """One of a thousand accounts sees something, a minute after the one before."""
    key = f"{number % 1000:064x}"
    return Fact(key, "spa", 0.5, 100.0, seen + timedelta(minutes=number % 10_000))


def resident() -> float:
    """Resident MB of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak() -> float:
    """The most resident MB this process ever had, since `clear_peak`."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = [line for line in status if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024 / 1e6


def clear_peak() -> None:
    """Begin anew with the peak (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def run_method(name: str, vectors_file: str, labels_file: str) -> None:
    """The body of a method's own process: prints processor seconds and MB as JSON."""
    vectors = np.load(vectors_file)
    clear_peak()
    before, began = resident(), time.process_time()
    labels = METHODS[name](vectors)
    seconds = time.process_time() - began
    np.save(labels_file, labels)
    print(json.dumps({"seconds": seconds, "mb": peak() - before}))


def measured(name: str, vectors_file: Path, limit: float) -> tuple[float, float, Labels] | str:
    """Run a method in a process of its own: seconds, MB and labels, or why there are none."""
    labels_file = vectors_file.with_name("labels.npy")
    command = [sys.executable, __file__, "--method", name, str(vectors_file), str(labels_file)]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"more than {limit:.0f} s"
    told = json.loads(done.stdout)
    return told["seconds"], told["mb"], np.load(labels_file)


def cost(data: Labelled, sizes: Sequence[int], limit: float) -> None:
    """Print what each method costs at each size."""
    print(f"\n{'one more sighting':<17}{'sightings':>9}{'clusters':>9}{'alone us':>10}", end="")
    print(f"{'batch us':>10}{'sums MB':>9}{'counts MB':>10}")
    for size in sizes:
        single, batched, clusters, sums, counts = step_cost(synthetic(data, size)[0])
        print(f"{'':<17}{size:>9}{clusters:>9}{single:>10.0f}{batched:>10.0f}", end="")
        print(f"{sums:>9.1f}{counts:>10.1f}")
    print(f"\n{'everything':<17}{'sightings':>9}{'CPU s':>9}{'MB':>8}", end="")
    print(f"{'ARI truth':>11}{'ARI exact':>11}")
    with tempfile.TemporaryDirectory() as directory:
        for size in sizes:
            vectors, truth = synthetic(data, size)
            file = Path(directory) / "vectors.npy"
            np.save(file, vectors)
            exact: Labels | None = None
            for name in ("full pass", *(name for name in METHODS if name != "full pass")):
                needs = PAIRWISE.get(name, 0) * PAIRWISE_BYTES * size**2
                result: tuple[float, float, Labels] | str
                if needs > MOST_PAIRWISE:
                    result = f"not started: {needs / 1e9:.0f} GB of distances"
                else:
                    # Ours are what is measured, and always end.
                    patience = 3600 if name in ("full pass", "incremental") else limit
                    result = measured(name, file, patience)
                if isinstance(result, str):
                    print(f"{name:<17}{size:>9}   {result}")
                    continue
                seconds, mb, labels = result
                exact = labels if exact is None else exact
                print(f"{name:<17}{size:>9}{seconds:>9.2f}{mb:>8.0f}", end="")
                print(f"{adjusted_rand(labels, truth):>11.3f}{adjusted_rand(labels, exact):>11.3f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--limit", type=float, default=30.0, help="seconds a peer may take")
    parser.add_argument("--method", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.method:
        run_method(*arguments.method)
        return
    data = asyncio.run(labelled())
    quality(data)
    cost(data, arguments.sizes, arguments.limit)


if __name__ == "__main__":
    main()
