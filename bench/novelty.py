"""How well novelty tells discoveries from variations, and these from routine, and each model's scale for it.

    python -m bench.novelty                              the bundled model
    python -m bench.novelty --model minilm               the model of the extra
    OPENAI_API_KEY=... python -m bench.novelty --model openai [--base-url URL]

novelty_clusters.jsonl holds 42 clusters of three wordings each, and what was known of their types, all written for this
project by one author, who also labelled them:

    known       a pattern of the type that was there before
    routine     a cluster that says what a known pattern says, in other words or in a neighbouring situation
    variation   the idea of a known pattern with another offer, channel, time or group
    discovery   something else, often in a situation that is known

Three types are for tuning, three are held out: the scale is made of the first alone. Order is the share of pairs of two
clusters with different labels that novelty puts in the right order (ties count half), within a split and across its
types, as a dashboard does. `sentence` is one less the cosine of the sentences, as novelty was before actions decided;
`class` the share of clusters on the right side of a third and of two thirds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.thresholds import separation
from keeper_grpc.domain.emerging.novelty import DISCOVERY, ROUTINE, Known, NoveltyScale
from keeper_grpc.domain.insight import EmbeddedWords
from keeper_grpc.embedding.embedder import Embedder, Vectors
from keeper_grpc.embedding.local import LocalEmbedder
from keeper_grpc.embedding.minilm import MiniLMEmbedder
from keeper_grpc.embedding.openai import BASE_URL, OpenAIEmbedder

CLUSTERS = Path(__file__).with_name("novelty_clusters.jsonl")
LABELS = ("routine", "variation", "discovery")
SPLITS = ("tuning", "held-out")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A cluster of the set, and how near it is to what was known."""

    name: str
    split: str
    label: str
    known: Known


def closest(centre: Vectors, known: Vectors) -> float:
    """The cosine distance to the nearest."""
    return 1 - float((known @ centre).max())


def centre(vectors: Vectors) -> NDArray[np.float32]:
    """Their mean direction."""
    total = vectors.sum(axis=0)
    unit: NDArray[np.float32] = total / np.linalg.norm(total)
    return unit


async def labelled(embedder: Embedder) -> list[Labelled]:
    """The set, embedded as the service does."""
    rows: list[dict[str, Any]] = [
        json.loads(line) for line in CLUSTERS.read_text(encoding="utf-8").splitlines()
    ]
    words = [
        EmbeddedWords.of(row["type"], row["business_category"], row["conditions"], row["action"])
        for row in rows
    ]
    sentences = await embedder.embed([each.sentence for each in words])
    actions = await embedder.embed([each.action for each in words])
    known: dict[str, list[int]] = defaultdict(list)
    members: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        if row["kind"] == "known":
            known[row["type"]].append(number)
        else:
            members[row["cluster"]].append(number)
    found = []
    for name, own in members.items():
        row = rows[own[0]]
        before = known[row["type"]]
        near = Known(
            closest(centre(sentences[own]), sentences[before]),
            closest(centre(actions[own]), actions[before]),
        )
        found.append(Labelled(name, row["split"], row["kind"], near))
    return found


def order(novelties: Mapping[str, float], clusters: Sequence[Labelled]) -> float:
    """The share of pairs with different labels in the right order."""
    right = []
    for pair in combinations(clusters, 2):
        lower, upper = sorted(pair, key=lambda each: LABELS.index(each.label))
        if lower.label != upper.label:
            low, high = novelties[lower.name], novelties[upper.name]
            right.append(0.5 if low == high else float(low < high))
    return float(np.mean(right))


def placed(novelties: Mapping[str, float], clusters: Sequence[Labelled]) -> float:
    """The share of clusters on the right side of a third and of two thirds."""
    return float(
        np.mean(
            [
                LABELS[int(np.digitize(novelties[each.name], (ROUTINE, DISCOVERY)))] == each.label
                for each in clusters
            ]
        )
    )


def suggested(clusters: Sequence[Labelled]) -> tuple[float, float]:
    """Cosines of actions that tell routine from variations, and these from discoveries, best."""
    cosines = {
        label: np.array(
            [1 - (each.known.action_distance or 0.0) for each in clusters if each.label == label]
        )
        for label in LABELS
    }
    routine = separation(cosines["routine"], cosines["variation"]).threshold
    variation = separation(cosines["variation"], cosines["discovery"]).threshold
    return round(routine, 2), round(variation, 2)


async def measure(embedder: Embedder) -> None:
    """Print everything about one model."""
    try:
        clusters = await labelled(embedder)
    finally:
        await embedder.aclose()
    scale = NoveltyScale.of(embedder.thresholds)
    tuning = [each for each in clusters if each.split == "tuning"]
    routine, variation = suggested(tuning)
    print(embedder.model)
    print(f"action_routine={routine}, action_variation={variation} would suit the tuning split")
    print(f"in use: {scale.action_routine}, {scale.action_variation}")
    before = {each.name: each.known.distance or 0.0 for each in clusters}
    after = {each.name: scale.novelty(each.known) for each in clusters}
    print(f"{'':10}{'clusters':>9}{'order':>8}{'sentence':>10}{'class':>7}")
    for split in SPLITS:
        own = [each for each in clusters if each.split == split]
        print(
            f"{split:10}{len(own):9}{order(after, own):8.3f}{order(before, own):10.3f}"
            f"{placed(after, own):7.2f}"
        )
    for label in reversed(LABELS):
        now, was = (
            [novelties[each.name] for each in clusters if each.label == label]
            for novelties in (after, before)
        )
        print(
            f"{label:10} {min(now):.2f} to {max(now):.2f}, sentence {min(was):.2f} to {max(was):.2f}"
        )


def main() -> None:
    """Measure the model that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", choices=("local", "minilm", "openai"), default="local")
    parser.add_argument("--base-url", default=BASE_URL)
    arguments = parser.parse_args()
    asyncio.run(_measure(arguments))


async def _measure(arguments: argparse.Namespace) -> None:
    embedder: Embedder
    match arguments.model:
        case "local":
            embedder = LocalEmbedder()
        case "minilm":
            embedder = MiniLMEmbedder()
        case _:
            embedder = OpenAIEmbedder(
                api_key=os.environ["OPENAI_API_KEY"], base_url=arguments.base_url
            )
    await measure(embedder)


if __name__ == "__main__":
    main()
