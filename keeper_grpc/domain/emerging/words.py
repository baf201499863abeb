"""What is told of a cluster in words: those that enough accounts used, and no others.

The k rule for words. A sentence is one account's, and though it is anonymized, a word of it that hardly
anyone else used may still tell who said it. So words are counted by distinct owners, and one that
fewer than k used is left out: as "…" within the common pattern, and from the label altogether.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from keeper_grpc.domain.patterns.action_words import TAKING_AWAY

MOST_CHARACTERS = 60
"""Of a label: what fits a line of a dashboard."""

MOST_WORDS = 8
FEWEST_WORDS = 3
"""Of a label that is taken from the actions. With fewer it would say too little."""

QUOTED = 8
"""Actions, the nearest, among which a phrase is looked for: reading one costs as much as counting four."""

MOST_TOPICS = 3
"""Shared words that go behind the type where no action can be quoted."""

ELLIPSIS = "…"

GAP = 2
"""Shared words that a sentence needs more for each word that it leaves out: gaps are hard to read."""

_WORD = re.compile(
    # A role, a slot, a word or number; then whatever else could tell, one by one.
    r"\{[^{}]*\}|\[[^\[\]]*\]|\w[\w%'\N{RIGHT SINGLE QUOTATION MARK}-]*|[^\s\w.,;:!?()\"'/-]"
)
_CLAUSE_END = re.compile(r"[.;:!?()\n]")
_MASKED = "[other]"

_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and any are as at be but by can do does each every for from has have her his if in into is"
        " it its my no nor not of on or our out over so than that the their them then there these they"
        " this those to up us was we when which who will with you your",
    )
)
"""Words that no label begins or ends with, and that are no topic."""

_OPENERS = _FUNCTION_WORDS - {"do", "no", "not"}
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

    The same for the same sentences, in whatever order they come.
    """
    nearest = sorted(sentences, key=lambda each: (each.distance, each.text, each.action))
    shared = _shared(((each.owner_key, each.text) for each in nearest), k)
    return ClusterWords(
        _common_pattern([each.text for each in nearest], shared.keys()),
        _label(pattern_type, nearest, k),
    )


def _common_pattern(texts: Sequence[str], shared: AbstractSet[str]) -> str:
    """The sentence of which most can be told and least is left out; of equal ones, the nearest."""

    def told(text: str) -> int:
        words = _words(text)
        known = sum(map(shared.__contains__, words))
        return known - GAP * (len(words) - known)

    best = max(dict.fromkeys(texts), key=told, default="")
    return _abridged(best, shared) if not shared.isdisjoint(_words(best)) else ""


def _abridged(text: str, shared: AbstractSet[str]) -> str:
    """The text with each row of words that are not shared as one ellipsis."""
    parts: list[str] = []
    end, left_out = 0, False
    for match in _WORD.finditer(text):
        between = text[end : match.start()]
        end = match.end()
        if _fold(match[0]) in shared:
            parts += [between, match[0]]
            left_out = False
        elif not left_out:
            parts += [between, ELLIPSIS]
            left_out = True
    return "".join(parts) + text[end:]


def _label(pattern_type: str, nearest: Sequence[Sentence], k: int) -> str:
    """The longest phrase that can be quoted from an action, else the type with what it is about."""
    words = _shared(((each.owner_key, each.action) for each in nearest), k).keys()
    actions = list(dict.fromkeys(each.action for each in nearest if each.action))
    phrases = (phrase for action in actions[:QUOTED] for phrase in _phrases(action, words))
    best = max(phrases, key=_length, default="")
    if _length(best) >= FEWEST_WORDS:
        return best[0].upper() + best[1:]
    # Less the type and line of business, with which every sentence ends.
    bodies = ((each.owner_key, each.text.rpartition("(")[0]) for each in nearest)
    return _by_topics(pattern_type, _shared(bodies, k))


def _phrases(action: str, shared: AbstractSet[str]) -> Iterator[str]:
    """What the action says in shared words, in one piece and within one clause."""
    for clause in _CLAUSE_END.split(action):
        run: list[re.Match[str]] = []
        for match in _WORD.finditer(clause):
            if _fold(match[0]) in shared and match[0] != _MASKED:
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
    while kept and _fold(kept[0][0]) in _OPENERS:
        del kept[0]
    del kept[MOST_WORDS:]
    while kept and (
        _fold(kept[-1][0]) in _FUNCTION_WORDS or len(_title(clause, kept)) > MOST_CHARACTERS
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
    known = {*_words(title), "when", *_FUNCTION_WORDS}
    topics = sorted(
        (word for word in shared if word.isalpha() and word not in known),
        key=lambda word: (-shared[word], word),
    )
    for count in range(MOST_TOPICS, 0, -1):
        told = f"{title}: {', '.join(topics[:count])}"
        if topics and len(told) <= MOST_CHARACTERS:
            return told
    return title


def _shared(texts: Iterable[tuple[str, str]], k: int) -> Counter[str]:
    """How many owners used each word, of the words that at least k did."""
    uses: dict[str, set[str]] = defaultdict(set)
    for owner, text in texts:
        uses[owner].update(_words(text))
    counts = Counter(word for words in uses.values() for word in words)
    return Counter({word: count for word, count in counts.items() if count >= k})


def _words(text: str) -> list[str]:
    return _WORD.findall(_fold(text))


def _fold(word: str) -> str:
    return word.casefold()


def _length(phrase: str) -> int:
    return len(phrase.split())
