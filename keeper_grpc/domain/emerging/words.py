"""What is told of a cluster in words: those that enough accounts used, and no others.

A word that too few used (domain/evidence/words.py) is left out: as "…" within the common pattern, and from
the label altogether.
"""

from __future__ import annotations

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
    """A phrase of the actions; where they have none, what the sentences are about."""
    said = shared_words(((each.owner_key, each.action) for each in nearest), k)
    actions = list(dict.fromkeys(each.action for each in nearest if each.action))
    topics = [word for word in _content(actions[:QUOTED]) if word in said]
    if not topics:
        values = [_values(each.text) for each in nearest]
        owned = shared_words(
            ((each.owner_key, value) for each, value in zip(nearest, values, strict=True)), k
        )
        topics = [word for word in _content(values) if word in owned]
    topics.sort(key=lambda word: -said[word])
    return title_of(pattern_type, actions[:QUOTED], said.keys(), topics)


def _content(texts: Iterable[str]) -> Iterator[str]:
    """The words of meaning of these texts, each once."""
    seen = dict.fromkeys(word for text in texts for word in words_of(text))
    return (word for word in seen if word.isalpha() and says_something(word))


def _values(sentence: str) -> str:
    """What the conditions of a sentence are, without their names and what the sentence ends with."""
    situation = sentence.rpartition("(")[0].removeprefix("When ")
    return " ".join(part.partition(" is ")[2] for part in situation.split(", "))
