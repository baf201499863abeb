"""Calibrates an embedding model's merge, cluster and retrieval thresholds.

    python bench/thresholds.py                              the bundled model
    python bench/thresholds.py --model minilm               the model of the extra
    python bench/thresholds.py --model onnx --directory DIR a sentence-transformers ONNX directory
    OPENAI_API_KEY=... python bench/thresholds.py --model openai [--base-url URL]
    python bench/thresholds.py --with-outcome               docs/adr/0003: what the outcome costs

threshold_pairs.jsonl holds hand-made pairs of insights, rendered as the service renders them:

    same       one pattern in two accounts' words: should merge
    related    the same type, category and mostly conditions, another action: must not merge
    opposite   one word apart, the other direction: must not merge, and no cosine can tell
    unrelated  nothing to learn from each other
    asked      an insight without action, and a pattern that answers it: should be found
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.insight import AnonymizedInsight
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.embedding.embedder import Vectors
from keeper_grpc.embedding.local import LocalEmbedder
from keeper_grpc.embedding.minilm import MiniLMEmbedder
from keeper_grpc.embedding.onnx import OnnxModel
from keeper_grpc.embedding.openai import BASE_URL, OpenAIEmbedder
from keeper_grpc.embedding.threaded import ThreadedModel

PAIRS = Path(__file__).with_name("threshold_pairs.jsonl")
LABELS = ("same", "related", "opposite", "unrelated", "asked")
QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)

Cosines = NDArray[np.float64]


@dataclass(frozen=True)
class Separation:
    """How well two classes of pairs are told apart by cosine."""

    auc: float
    threshold: float
    recall: float
    false: float


def separation(above: Cosines, below: Cosines) -> Separation:
    """AUC, and the threshold with the best balanced accuracy, in the middle of its gap.

    `above` should lie above the threshold (recall: the share that does), `below` should not (false:
    the share that does).
    """
    auc = float(np.mean(above[:, None] > below) + np.mean(above[:, None] == below) / 2)
    edges = np.unique(np.concatenate([above, below]))
    middles = (edges[:-1] + edges[1:]) / 2
    balance = [np.mean(above >= middle) - np.mean(below >= middle) for middle in middles]
    best = float(middles[int(np.argmax(balance))])
    return Separation(auc, best, float(np.mean(above >= best)), float(np.mean(below >= best)))


def suggested(by_label: dict[str, Cosines]) -> Thresholds:
    """Thresholds by what each mistake costs.

    merge: the first hundredth above every related pair. A wrong merge spoils the evidence of two
    patterns for good; a missed one leaves a second pattern that learns more slowly.
    cluster: the last hundredth below all but 5% of the same pairs. An emerging pattern is a hint
    that three accounts share; a stranger in it costs little, a sighting left out delays it.
    retrieval: where what should be found and what is unrelated are told apart best.
    """
    merge = math.floor(float(by_label["related"].max()) * 100 + 1) / 100
    cluster = math.floor(float(np.quantile(by_label["same"], 0.05)) * 100) / 100
    found = np.concatenate([by_label["same"], by_label["asked"]])
    retrieval = round(separation(found, by_label["unrelated"]).threshold, 2)
    return Thresholds(merge=merge, cluster=min(cluster, merge), retrieval=retrieval)


def report(
    model: str,
    by_label: dict[str, Cosines],
    actions: dict[str, Cosines],
    current: Thresholds | None,
) -> None:
    """Prints the tables. `actions`: the cosines of the actions alone, without their situations."""
    print(f"model {model}\n")
    print(
        f"{'pairs':10} {'n':>3}  " + "  ".join(f"q{int(q * 100):02d}".rjust(5) for q in QUANTILES)
    )
    for label in LABELS:
        cosines = by_label[label]
        row = "  ".join(f"{np.quantile(cosines, q):5.2f}" for q in QUANTILES)
        print(f"{label:10} {len(cosines):>3}  {row}")
    found = np.concatenate([by_label["same"], by_label["asked"]])
    print(f"\n{'told apart':32} {'AUC':>5}  {'best at':>7}  {'recall':>6}  {'false':>6}")
    for name, above, below in (
        ("same / related (merge, cluster)", by_label["same"], by_label["related"]),
        ("same / opposite (needs the guard)", by_label["same"], by_label["opposite"]),
        ("same / related by action alone", actions["same"], actions["related"]),
        ("same, asked / unrelated", found, by_label["unrelated"]),
    ):
        split = separation(above, below)
        print(
            f"{name:32} {split.auc:5.3f}  {split.threshold:7.2f}  "
            f"{split.recall:6.2f}  {split.false:6.2f}",
        )
    best = suggested(by_label)
    for name, choice in (("suggested", best), ("in use", current)):
        if choice is None:
            continue
        print(
            f"\n{name}: merge {choice.merge:.2f}, cluster {choice.cluster:.2f}, "
            f"retrieval {choice.retrieval:.2f}",
        )
        for what, label, threshold in (
            ("same pairs merged", "same", choice.merge),
            ("related pairs merged wrongly", "related", choice.merge),
            ("opposite pairs left to the guard", "opposite", choice.merge),
            ("same pairs in one cluster", "same", choice.cluster),
            ("related pairs in one cluster", "related", choice.cluster),
            ("asked pairs found", "asked", choice.retrieval),
            ("unrelated pairs found wrongly", "unrelated", choice.retrieval),
        ):
            share = float(np.mean(by_label[label] >= threshold))
            print(f"  {what:34} {share:5.2f}")
    fields = {"merge": best.merge, "cluster": best.cluster, "retrieval": best.retrieval}
    print("\nfor keeper.json: " + json.dumps(fields))


def rendered(fields: dict[str, Any], *, with_outcome: bool) -> str:
    """The sentence that the service embeds; on request with what came of it at the end."""
    insight = AnonymizedInsight(
        type=fields["type"],
        business_category=fields["business_category"],
        conditions=fields["conditions"],
        action=fields["action"],
        script="",
        confidence=0.5,
        dollar_value=0.0,
        potential_value=0.0,
    )
    sentence = insight.render()
    if not with_outcome or fields["success"] is None:
        return sentence
    result = "the customer stayed" if fields["success"] else "the customer left"
    return f"{sentence} Result: {'success' if fields['success'] else 'failure'}, {result}."


async def measure(arguments: argparse.Namespace) -> None:
    """Embeds both sides of every pair and reports."""
    pairs = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    texts = [
        rendered(pair[side], with_outcome=arguments.with_outcome)
        for side in ("a", "b")
        for pair in pairs
    ]
    # An asked pair has no action to compare.
    acting = [pair for pair in pairs if pair["label"] != "asked"]
    texts += [pair[side]["action"] for side in ("a", "b") for pair in acting]
    model, thresholds, vectors = await MODELS[arguments.model](arguments, texts)
    sentences, actions = vectors[: 2 * len(pairs)], vectors[2 * len(pairs) :]
    report(
        model,
        cosines_by_label(sentences, pairs),
        cosines_by_label(actions, acting),
        thresholds,
    )


def cosines_by_label(vectors: Vectors, pairs: list[dict[str, Any]]) -> dict[str, Cosines]:
    """`vectors` holds the first sides of all pairs, then the second ones."""
    first, second = vectors[: len(pairs)], vectors[len(pairs) :]
    cosines = np.einsum("ij,ij->i", first, second, dtype=np.float64)
    labels = np.array([pair["label"] for pair in pairs])
    return {label: cosines[labels == label] for label in LABELS}


Measured = tuple[str, Thresholds | None, Vectors]
"""A model's id, the thresholds in use with it if any, and the vectors of the texts."""


async def local(_arguments: argparse.Namespace, texts: list[str]) -> Measured:
    """The bundled model."""
    embedder = LocalEmbedder()
    try:
        return embedder.model, embedder.thresholds, await embedder.embed(texts)
    finally:
        await embedder.aclose()


async def minilm(_arguments: argparse.Namespace, texts: list[str]) -> Measured:
    """The model of the extra."""
    embedder = MiniLMEmbedder()
    try:
        return embedder.model, embedder.thresholds, await embedder.embed(texts)
    finally:
        await embedder.aclose()


async def onnx(arguments: argparse.Namespace, texts: list[str]) -> Measured:
    """A directory, which needs no keeper.json yet: this is where its numbers come from."""
    worker = ThreadedModel(OnnxModel(arguments.directory).encode)
    try:
        return str(arguments.directory), None, await worker.embed(texts)
    finally:
        await worker.aclose()


async def openai(arguments: argparse.Namespace, texts: list[str]) -> Measured:
    """The API, with the key of the environment."""
    embedder = OpenAIEmbedder(api_key=os.environ["OPENAI_API_KEY"], base_url=arguments.base_url)
    try:
        return embedder.model, embedder.thresholds, await embedder.embed(texts)
    finally:
        await embedder.aclose()


MODELS: dict[str, Callable[[argparse.Namespace, list[str]], Awaitable[Measured]]] = {
    "local": local,
    "minilm": minilm,
    "onnx": onnx,
    "openai": openai,
}


def main() -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", choices=sorted(MODELS), default="local")
    parser.add_argument("--directory", type=Path, help="with --model onnx")
    parser.add_argument("--base-url", default=BASE_URL, help="with --model openai")
    parser.add_argument(
        "--with-outcome", action="store_true", help="append the outcome to the text"
    )
    arguments = parser.parse_args()
    if (arguments.model == "onnx") != (arguments.directory is not None):
        parser.error("--directory goes with --model onnx")
    if arguments.model == "openai" and not os.environ.get("OPENAI_API_KEY"):
        parser.error("--model openai needs OPENAI_API_KEY")
    asyncio.run(measure(arguments))


if __name__ == "__main__":
    main()
