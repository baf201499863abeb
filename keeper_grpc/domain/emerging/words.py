"""What is told of a cluster in words: those that enough accounts used, and no others.

A word that too few used (domain/evidence/words.py) is left out: as "…" within the common pattern, and from
the label altogether.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from keeper_grpc.domain.evidence.words import (
    FUNCTION_WORDS,
    WORD,
    fold,
    legibility,
    masked,
    shared_words,
    words_of,
)
from keeper_grpc.domain.patterns.merging.action_words import TAKING_AWAY
from keeper_grpc.domain.patterns.screen import objection_to_action

MOST_CHARACTERS = 60
"""Of a label: what fits a line of a dashboard."""

MOST_WORDS = 8
FEWEST_WORDS = 3
"""Of a label that is taken from the actions. With fewer it would say too little."""

QUOTED = 8
"""Actions, the nearest, among which a phrase is looked for: reading one costs as much as counting four."""

MOST_TOPICS = 3
"""Shared words that go behind the type where no action can be quoted."""

_CLAUSE_END = re.compile(r"[.;:!?()\n]")
_MASKED = "[other]"

_OPENERS = FUNCTION_WORDS - {"do", "no", "not"}
"""Those that may go from a label's beginning without turning its meaning round."""


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
    """The longest phrase that can be quoted from an action, else the type with what it is about."""
    words = shared_words(((each.owner_key, each.action) for each in nearest), k).keys()
    actions = list(dict.fromkeys(each.action for each in nearest if each.action))
    phrases = (phrase for action in actions[:QUOTED] for phrase in _phrases(action, words))
    best = max(phrases, key=_length, default="")
    if _length(best) >= FEWEST_WORDS:
        return best[0].upper() + best[1:]
    # Less the type and line of business, with which every sentence ends.
    bodies = ((each.owner_key, each.text.rpartition("(")[0]) for each in nearest)
    return _by_topics(pattern_type, shared_words(bodies, k))


def _phrases(action: str, shared: AbstractSet[str]) -> Iterator[str]:
    """What the action says in shared words, in one piece and within one clause."""
    for clause in _CLAUSE_END.split(action):
        run: list[re.Match[str]] = []
        for match in WORD.finditer(clause):
            if fold(match[0]) in shared and match[0] != _MASKED:
                run.append(match)
                continue
            yield from _phrase(clause, run)
            if TAKING_AWAY.search(clause[: match.end()].lower()):
                # What follows would read as the opposite without what was left out.
                run = []
                break
            run = []
        yield from _phrase(clause, run)


def _phrase(clause: str, run: Sequence[re.Match[str]]) -> Iterator[str]:
    """The run as a title: not too long, and without small words at its ends."""
    kept = list(run)
    while kept and fold(kept[0][0]) in _OPENERS:
        del kept[0]
    del kept[MOST_WORDS:]
    while kept and (
        fold(kept[-1][0]) in FUNCTION_WORDS or len(_title(clause, kept)) > MOST_CHARACTERS
    ):
        del kept[-1]
    if kept:
        yield _title(clause, kept)


def _title(clause: str, run: Sequence[re.Match[str]]) -> str:
    """The run as it stands, with roles and slots as words."""
    text = clause[run[0].start() : run[-1].end()]
    return " ".join(re.sub(r"[\[\]{}_]", " ", text).split())


def _by_topics(pattern_type: str, shared: Counter[str]) -> str:
    """The type, and the words that most owners share beyond it."""
    title = pattern_type.replace("_", " ").capitalize()[:MOST_CHARACTERS].strip()
    known = {*words_of(title), "when", *FUNCTION_WORDS}
    topics = sorted(
        (word for word in shared if word.isalpha() and word not in known),
        key=lambda word: (-shared[word], word),
    )
    for count in range(MOST_TOPICS, 0, -1):
        told = f"{title}: {', '.join(topics[:count])}"
        if topics and len(told) <= MOST_CHARACTERS:
            return told
    return title


def _length(phrase: str) -> int:
    return len(phrase.split())
