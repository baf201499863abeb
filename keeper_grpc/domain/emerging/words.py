"""What is told of a cluster in words: those that enough accounts used, and no others.

A word that too few used (domain/evidence/words.py) is left out: as "…" within the common pattern, and from
the label altogether.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from keeper_grpc.domain.emerging.titles import says_something, title_of
from keeper_grpc.domain.evidence.words import (
    legibility,
    masked,
    shared_words,
    words_of,
)
from keeper_grpc.domain.patterns.screen import objection_to_action

QUOTED = 8
"""Actions, the nearest, among which a title is looked for: reading one costs as much as counting four."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What an account of one owner said: an anonymized sentence, its action alone (may be empty), and the cosine
    distance of its vector to the centre of its cluster.
    """

    owner_key: str
    text: str
    action: str
    distance: float


@dataclass(frozen=True, slots=True)
class ClusterWords:
    """What is told: the common pattern, empty when nothing is shared, and a title for people."""

    common_pattern: str = ""
    label: str = ""


def wording(pattern_type: str, sentences: Sequence[Sentence], k: int) -> ClusterWords:
    """The words for a cluster of this type, in which none is of fewer than `k` distinct owners.

    Sentences that the screen stops are not read. The same for the same sentences, in whatever
    order they come.
    """
    nearest = sorted(
        (each for each in sentences if objection_to_action(each.text) is None),
        key=lambda each: (each.distance, each.text, each.action),
    )
    shared = shared_words(((each.owner_key, each.text) for each in nearest), k)
    return ClusterWords(
        _common_pattern([each.text for each in nearest], shared.keys()),
        _label(pattern_type, nearest, k),
    )


def _common_pattern(texts: Sequence[str], shared: AbstractSet[str]) -> str:
    """The sentence of which most can be told and least is left out; of equal ones, the nearest."""
    best = max(dict.fromkeys(texts), key=lambda text: legibility(text, shared), default="")
    return masked(best, shared) if not shared.isdisjoint(words_of(best)) else ""


def _label(pattern_type: str, nearest: Sequence[Sentence], k: int) -> str:
    """A phrase of the actions; where they have none, in which situation it is seen."""
    said = shared_words(((each.owner_key, each.action) for each in nearest), k)
    actions = list(dict.fromkeys(each.action for each in nearest if each.action))
    topics = [word for word in _content(actions[:QUOTED]) if word in said]
    topics.sort(key=lambda word: -said[word])
    conditions = () if topics else _shared_conditions(nearest, k)
    return title_of(pattern_type, actions[:QUOTED], said.keys(), topics, conditions)


def _shared_conditions(nearest: Sequence[Sentence], k: int) -> Sequence[str]:
    """The conditions that enough owners stated in as many words: those in words before figures, then as many share them."""
    owners: dict[str, set[str]] = defaultdict(set)
    for each in nearest:
        for condition in _conditions(each.text):
            owners[condition].add(each.owner_key)
    shared = [condition for condition, known in owners.items() if len(known) >= k]
    return sorted(shared, key=lambda one: (_is_figure(one), -len(owners[one])))


def _conditions(sentence: str) -> Iterator[str]:
    """What a sentence says of its situation, one by one: "service is balayage"."""
    situation, found, _ = sentence.removeprefix("When ").rpartition("(")
    if found and sentence.startswith("When "):
        yield from (part for part in situation.rstrip(" ").split(", ") if " is " in part)


def _is_figure(condition: str) -> bool:
    value = condition.partition(" is ")[2]
    return not any(letter.isalpha() for letter in value) or value in {"true", "false"}


def _content(texts: Iterable[str]) -> Iterator[str]:
    """The words of meaning of these texts, each once."""
    seen = dict.fromkeys(word for text in texts for word in words_of(text))
    return (word for word in seen if word.isalpha() and says_something(word))
