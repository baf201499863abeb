"""How well merges tell one action from another: precision, recall and F1 by kind of pair.

    python -m bench.merges                              the bundled model
    python -m bench.merges --model minilm               the model of the extra
    python -m bench.merges --model onnx --directory DIR a sentence-transformers ONNX directory, keeper.json in it
    python -m bench.merges --missed                     with the pairs that were judged wrongly

merge_pairs.jsonl holds pairs of insights, invented for this project; each says whether the two are one
pattern. Every pair is anonymized, embedded and judged as a capture is. Its sets:

    tuning    what the rule and its thresholds were chosen on
    held_out  every other pair of each kind, laid aside before: judge the rule by this one
    trade     harder ones by another author, in many kinds
    spanish_* Spanish ones, and Spanish beside English, parted likewise

The anonymizer refuses or masks Spanish until k owners use its words. So the Spanish sets are judged twice: as if all of
their words had passed, which is what the rules are chosen on; and `spanish as captured`, of which none may be merged wrongly.

The last set is every pair of the simulation's own wordings in one situation. A pair that should not
merge has no recall, so of such kinds the table says how many were kept apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import string
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any
from uuid import UUID

from keeper_grpc.domain.insight import EmbeddedWords, Identifiers, Insight, JsonValue
from keeper_grpc.domain.patterns.merging.similarity import Thresholds
from keeper_grpc.domain.patterns.pattern import Neighbour, merge_target
from keeper_grpc.embedding.embedder import Embedder, Vectors
from keeper_grpc.embedding.local import LocalEmbedder
from keeper_grpc.embedding.minilm import MiniLMEmbedder
from keeper_grpc.embedding.onnx import OnnxEmbedder
from keeper_grpc.privacy.anonymizer import Anonymizer
from keeper_grpc.simulation.world.wordings import KINDS, NOUNS

PAIRS = Path(__file__).with_name("merge_pairs.jsonl")
SIMULATION = "simulation"
HELD_OUT = frozenset({"held_out", "spanish_held_out"})
SPANISH = "spanish_"
AS_CAPTURED = "spanish as captured"
BATCH = 256


@dataclass(frozen=True)
class Pair:
    """Two insights' anonymized words, and whether they are one pattern."""

    collection: str
    kind: str
    merge: bool
    one: EmbeddedWords
    other: EmbeddedWords


@dataclass
class Tally:
    """How pairs were judged: merged and kept apart, rightly and wrongly."""

    merged: int = 0
    merged_wrongly: int = 0
    missed: int = 0
    apart: int = 0
    kinds: dict[str, Tally] = field(default_factory=dict)

    def count(self, *, should: bool, did: bool) -> None:
        """Counts one pair."""
        self.merged += should and did
        self.merged_wrongly += did and not should
        self.missed += should and not did
        self.apart += not should and not did

    @property
    def precision(self) -> float:
        return self.merged / max(1, self.merged + self.merged_wrongly)

    @property
    def recall(self) -> float:
        return self.merged / max(1, self.merged + self.missed)

    @property
    def f1(self) -> float:
        return 2 * self.merged / max(1, 2 * self.merged + self.merged_wrongly + self.missed)


def labelled(anonymizer: Anonymizer) -> Iterator[Pair]:
    """The pairs of merge_pairs.jsonl."""
    for line in PAIRS.read_text(encoding="utf-8").splitlines():
        pair = json.loads(line)
        one, other = (
            words(
                anonymizer,
                pair["type"],
                pair["business_category"],
                pair[side]["conditions"],
                pair[side]["action"],
            )
            for side in ("a", "b")
        )
        if not pair["set"].startswith(SPANISH):
            yield Pair(pair["set"], pair["kind"], pair["merge"], one, other)
            continue
        yield Pair(AS_CAPTURED, pair["kind"], pair["merge"], one, other)
        one, other = (
            passed(
                anonymizer,
                pair["type"],
                pair["business_category"],
                pair[side]["conditions"],
                pair[side]["action"],
            )
            for side in ("a", "b")
        )
        yield Pair(pair["set"], pair["kind"], pair["merge"], one, other)


def simulated(anonymizer: Anonymizer) -> Iterator[Pair]:
    """Every pair of phrasings in one situation of the simulation; one idea at one level is one action."""
    for category, nouns in NOUNS.items():
        for kind in KINDS:
            for situation in kind.situations:
                phrased = [
                    (
                        (idea.key, level),
                        words(
                            anonymizer,
                            kind.type,
                            category,
                            dict(situation),
                            string.Template(wording).substitute(nouns, n=level),
                        ),
                    )
                    for idea in kind.ideas
                    for level in idea.levels
                    for wording in idea.wordings
                ]
                for (action, one), (another, other) in combinations(phrased, 2):
                    yield Pair(SIMULATION, kind.type, action == another, one, other)


def words(
    anonymizer: Anonymizer,
    insight_type: str,
    business_category: str,
    conditions: Mapping[str, JsonValue],
    action: str,
) -> EmbeddedWords:
    """What is embedded of an insight; its action is empty when the anonymizer refuses it."""
    insight = Insight("", insight_type, business_category, conditions, action, "", 0.5)
    return anonymizer.anonymize(insight, Identifiers()).insight.words


def passed(
    anonymizer: Anonymizer,
    insight_type: str,
    business_category: str,
    conditions: Mapping[str, JsonValue],
    action: str,
) -> EmbeddedWords:
    """What is embedded of an insight if all words of its action passed the anonymizer."""
    insight = Insight("", insight_type, business_category, conditions, "", "", 0.5)
    return replace(anonymizer.anonymize(insight, Identifiers()).insight, action=action).words


def judge(pairs: list[Pair], vectors: Mapping[str, Any], thresholds: Thresholds) -> list[bool]:
    """Whether each pair merges, as a capture of `one` into a scope that has `other` alone."""
    known = UUID(int=1)
    judged = []
    for pair in pairs:
        one, other = pair.one, pair.other
        if not one.action or not other.action:
            judged.append(False)
            continue
        near = Neighbour(
            known,
            other.action,
            float(vectors[one.sentence] @ vectors[other.sentence]),
            float(vectors[one.action] @ vectors[other.action]),
        )
        judged.append(merge_target(one.action, [near], thresholds) is not None)
    return judged


async def measure(arguments: argparse.Namespace) -> None:
    """Embeds every text once, judges every pair and reports."""
    anonymizer = Anonymizer.default()
    pairs = [*labelled(anonymizer), *simulated(anonymizer)]
    texts = sorted(
        {
            text
            for pair in pairs
            for side in (pair.one, pair.other)
            if side.action
            for text in (side.sentence, side.action)
        }
    )
    model: Embedder
    match arguments.model:
        case "local":
            model = LocalEmbedder()
        case "minilm":
            model = MiniLMEmbedder()
        case _:
            model = OnnxEmbedder(arguments.directory)
    try:
        vectors: dict[str, Any] = {}
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            embedded: Vectors = await model.embed(batch)
            vectors.update(zip(batch, embedded, strict=True))
    finally:
        await model.aclose()
    began = time.process_time()
    judged = judge(pairs, vectors, model.thresholds)
    spent = time.process_time() - began
    report(model.model, pairs, judged, missed=arguments.missed)
    print(f"\n{spent / len(pairs) * 1e6:.0f} us of CPU a comparison, {len(pairs)} pairs")


def report(model: str, pairs: list[Pair], judged: list[bool], *, missed: bool) -> None:
    """Prints a line for each set, and one for each kind of its pairs."""
    sets: dict[str, Tally] = defaultdict(Tally)
    for pair, did in zip(pairs, judged, strict=True):
        whole = sets[pair.collection]
        whole.count(should=pair.merge, did=did)
        whole.kinds.setdefault(pair.kind, Tally()).count(should=pair.merge, did=did)
    print(f"model {model}\n")
    print(f"{'set, kind':28} {'pairs':>6} {'precision':>10} {'recall':>7} {'F1':>6} {'apart':>12}")
    for name, whole in sets.items():
        print(line(name, whole))
        for kind, tally in whole.kinds.items():
            print(line(f"  {kind}", tally))
    if missed:
        print()
        for pair, did in zip(pairs, judged, strict=True):
            # Whoever reads the held-out pairs will tune to them.
            if pair.merge != did and pair.collection not in HELD_OUT | {AS_CAPTURED, SIMULATION}:
                verdict = "merged wrongly" if did else "missed"
                print(
                    f"{pair.collection} {pair.kind}, {verdict}: {pair.one.action} | {pair.other.action}"
                )


def line(name: str, tally: Tally) -> str:
    """One row of the table; what a kind cannot have is left out."""
    same, other = tally.merged + tally.missed, tally.merged_wrongly + tally.apart
    precision = f"{tally.precision:.3f}" if same and other else ""
    recall = f"{tally.recall:.3f}" if same else ""
    f1 = f"{tally.f1:.3f}" if same and other else ""
    apart = f"{tally.apart}/{other}" if other else ""
    return f"{name:28} {same + other:>6} {precision:>10} {recall:>7} {f1:>6} {apart:>12}"


def main() -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", choices=("local", "minilm", "onnx"), default="local")
    parser.add_argument("--directory", type=Path, help="with --model onnx")
    parser.add_argument("--missed", action="store_true", help="list the pairs judged wrongly")
    arguments = parser.parse_args()
    if (arguments.model == "onnx") != (arguments.directory is not None):
        parser.error("--directory goes with --model onnx")
    asyncio.run(measure(arguments))


if __name__ == "__main__":
    main()
