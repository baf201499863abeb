"""How often the title of an emerging pattern can be read: says what is done, and is no list of nouns.

    python -m bench.titles

titles.jsonl holds 20 clusters, ten for tuning and ten held out, each with what three or four accounts said: sentences
that we wrote for this set, with, of each cluster, the words that carry what it is about, marked before the titles were
made. Six clusters are of questions, in which nothing is done yet. A title can be read if it

    names it        has two of the marked words (one where nothing is done yet),
    is a phrase     has no row of single words between commas behind the type: "Churn prevention: count, days, risk",
    ends            on a word that waits for no other: not on an article, a preposition or "and", unless an action ends there,
    is short        60 characters at most,
    hides nothing   and shows neither a mask nor an ellipsis.

The judge knows words and no grammar: it passes a title that a person would word otherwise, and none that says nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keeper_grpc.domain.emerging.titles import MOST_CHARACTERS, says_something
from keeper_grpc.domain.emerging.words import Sentence, wording
from keeper_grpc.domain.insight import EmbeddedWords

CLUSTERS = Path(__file__).with_name("titles.jsonl")
SPLITS = ("tuning", "held-out")
K = 3

_NOUNS = re.compile(r": \w+(?:, \w+)+$")


@dataclass(frozen=True, slots=True)
class Judged:
    """A title of the set, and what is wrong with it; empty for nothing."""

    split: str
    title: str
    faults: Sequence[str]


def judged() -> Iterator[Judged]:
    """Each cluster's title, made as the service does."""
    for line in CLUSTERS.read_text(encoding="utf-8").splitlines():
        cluster: dict[str, Any] = json.loads(line)
        words = [
            EmbeddedWords.of(
                cluster["type"], cluster["business_category"], said["conditions"], said["action"]
            )
            for said in cluster["said"]
        ]
        sentences = [
            Sentence(f"owner-{number}", each.sentence, each.action, 0.01 * number)
            for number, each in enumerate(words)
        ]
        title = wording(cluster["type"], sentences, K).label
        faults = _faults(title, cluster["wants"], [each.action for each in words])
        yield Judged(cluster["split"], title, list(faults))


def _faults(title: str, wants: Sequence[str], actions: Sequence[str]) -> Iterator[str]:
    said = _words(title)
    least = 2 if any(actions) else 1
    if sum(any(word.startswith(want) for word in said) for want in wants) < least:
        yield "does not name it"
    if _NOUNS.search(title):
        yield "a list of nouns"
    if not said or not (
        says_something(said[-1]) or said[-2:] in [_words(action)[-2:] for action in actions]
    ):
        yield "waits for a word"
    if len(title) > MOST_CHARACTERS:
        yield "long"
    if re.search(r"[\[\]\u2026]", title):
        yield "shows a mask"


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def main() -> None:
    """Print each title with its faults, and the share that can be read."""
    found = list(judged())
    for split in SPLITS:
        of_split = [each for each in found if each.split == split]
        for each in of_split:
            print(
                f"{split:9} {each.title}{'   <- ' + ', '.join(each.faults) if each.faults else ''}"
            )
        fine = sum(not each.faults for each in of_split)
        print(f"{split:9} {fine} of {len(of_split)} can be read")


if __name__ == "__main__":
    main()
