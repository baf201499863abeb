"""The title of a cluster: a phrase of its accounts' actions that reads as one, of shared words alone.

A phrase may leave out roles, with the preposition before them, and articles that are not shared: neither changes what
is said. It ends where a phrase can end. WordNet's parts of speech (domain/patterns/merging/lexicon.py) say whether a word
can be the last one: "the new" waits for its noun.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

from keeper_grpc.domain.evidence.words import FUNCTION_WORDS, WORD, fold
from keeper_grpc.domain.patterns.merging.action_words import TAKING_AWAY
from keeper_grpc.domain.patterns.merging.lexicon import ADJECTIVE, NOUN, VERB, Word, lexicon

MOST_CHARACTERS = 60
"""Of a title: what fits a line of a dashboard."""

MOST_WORDS = 10
FEWEST_WORDS = 3
"""Of a title that is a phrase of an action. With fewer it stands behind the type of the insights."""

MOST_TOPICS = 3
"""Shared words that go behind the type where no action can be quoted."""

_CLAUSE_END = re.compile(r"[.;:!?()\n]")
_TOLD_ROLE = re.compile(r"\[(?!other\]|(?:low|medium|high)_amount|age_)[^\[\]]*\]")
"""Somebody or something that was masked and that the rest of a phrase can do without."""

_PREPOSITIONS = frozenset(
    [
        "about",
        "after",
        "against",
        "along",
        "among",
        "around",
        "as",
        "at",
        "before",
        "behind",
        "beside",
        "between",
        "by",
        "during",
        "for",
        "from",
        "in",
        "into",
        "near",
        "of",
        "off",
        "on",
        "onto",
        "over",
        "since",
        "through",
        "to",
        "toward",
        "towards",
        "until",
        "up",
        "upon",
        "via",
        "with",
        "within",
    ]
)
_JOINING = frozenset(
    [
        "and",
        "but",
        "or",
        "so",
        "than",
        "that",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whose",
        "if",
        "because",
    ]
)
_BOUNDARIES = _PREPOSITIONS | _JOINING
"""Before them a phrase can end."""

_PARTICLES = frozenset(
    ("off", "up", "out", "in", "on", "over", "back", "along", "around", "before", "after")
)
"""Prepositions that can end a phrase, behind a number or a verb: "10% off"."""

_DETERMINERS = frozenset(
    [
        "a",
        "an",
        "the",
        "her",
        "his",
        "its",
        "my",
        "our",
        "their",
        "your",
        "this",
        "these",
        "those",
        "each",
        "every",
        "any",
        "some",
    ]
)
_PRONOUNS = frozenset(["he", "she", "they", "we", "you", "i", "it", "him", "them", "us", "me"])
_SAYS_NOTHING = FUNCTION_WORDS | _BOUNDARIES | _PRONOUNS
_CAUSATIVES = frozenset(("have", "let"))
_OPENERS = (FUNCTION_WORDS | _BOUNDARIES) - _CAUSATIVES - {"do", "no", "not", "up"}
"""Those that may go from a title's beginning without turning its meaning round."""

_POSSESSIVE = "s"
"""What is left of a role's "'s"."""


@dataclass(slots=True)
class _Run:
    """Words of an action in a row that may be shown: each with what stands before it.

    begins: whether it begins with the action. caused: whether a "have" or "let" before it was left out.
    """

    words: list[tuple[str, str]]
    begins: bool
    caused: bool = False


@lru_cache(4096)
def _read(word: str) -> Word:
    return lexicon().read(word)


def title_of(
    pattern_type: str,
    actions: Sequence[str],
    shared: AbstractSet[str],
    topics: Sequence[str],
    conditions: Sequence[str] = (),
) -> str:
    """The best phrase of these actions, the nearest first, in which every word is `shared`; one that is short stands
    behind the type. Without any, the type and up to three of the `topics`; without these, the type and the first of the
    `conditions` that fits ("service is balayage"). Both are shared as well.
    """
    best = max(
        (_phrase(run, ends) for run, ends in _runs(actions, shared)), key=_worth, default=_NONE
    )
    kind = pattern_type.replace("_", " ").capitalize()[:MOST_CHARACTERS].strip()
    if len(best.words) >= FEWEST_WORDS and _is_title(best):
        return best.text[0].upper() + best.text[1:]
    if _is_title(best) and len(told := f"{kind}: {best.text}") <= MOST_CHARACTERS:
        return told
    known = {fold(word) for word in kind.split()}
    said = [word for word in topics if word not in known]
    for count in range(min(MOST_TOPICS, len(said)), 0, -1):
        told = f"{kind}: {', '.join(said[:count])}"
        if len(told) <= MOST_CHARACTERS:
            return told
    for condition in conditions:
        if len(told := f"{kind} when {condition}") <= MOST_CHARACTERS:
            return told
    return kind


@dataclass(frozen=True, slots=True)
class _Phrase:
    """A title as it could be."""

    words: tuple[str, ...]
    text: str
    begins: bool

    @property
    def content(self) -> int:
        """Words that say what is done; who is meant goes without saying."""
        return sum(says_something(word) and not _read(word).is_person for word in self.words)


_NONE = _Phrase((), "", begins=False)


def _worth(phrase: _Phrase) -> float:
    """How much a phrase says. Of equal ones, an action's beginning, its verb, is better."""
    return phrase.content + phrase.begins / 2 if _is_title(phrase) else 0.0


def _is_title(phrase: _Phrase) -> bool:
    """Whether it says something: two words, or what is to be done with whom."""
    return phrase.content > 1 or (len(phrase.words) > 1 and phrase.content == 1 and phrase.begins)


def says_something(word: str) -> bool:
    """Whether a folded word has a meaning of its own."""
    return word not in _SAYS_NOTHING


def _runs(actions: Iterable[str], shared: AbstractSet[str]) -> Iterator[tuple[_Run, bool]]:
    """The runs of what may be shown, and whether each ends where its clause does."""
    for action in actions:
        for number, clause in enumerate(_CLAUSE_END.split(action)):
            yield from _of_clause(clause, shared, first=number == 0)


def _of_clause(
    clause: str, shared: AbstractSet[str], *, first: bool
) -> Iterator[tuple[_Run, bool]]:
    run = _Run([], begins=first)
    end, dropped, caused = 0, False, False
    for match in WORD.finditer(clause):
        between = clause[end : match.start()]
        word, end = match[0], match.end()
        folded = fold(word)
        if _TOLD_ROLE.fullmatch(word) or (dropped and folded == _POSSESSIVE and "'" in between):
            while run.words and fold(run.words[-1][1]) in _PREPOSITIONS | _DETERMINERS:
                run.words.pop()
            if [fold(each) for _, each in run.words] in [[each] for each in _CAUSATIVES]:
                run.words.clear()
            dropped = True
        elif folded in shared and not word.startswith("["):
            run.caused |= caused and not run.words
            run.words.append((" " if dropped else between, word))
            dropped = caused = False
        elif folded in _DETERMINERS:
            dropped = True
        else:
            yield run, False
            if TAKING_AWAY.search(clause[: match.end()].lower()):
                # What follows would read as the opposite without what was left out.
                return
            caused = folded in _CAUSATIVES
            run, dropped = _Run([], begins=False), False
    yield run, True


def _phrase(run: _Run, ends: bool) -> _Phrase:
    """The run from where a title can begin to where it can end."""
    words = list(run.words)
    begins = run.begins
    while words and fold(words[0][1]) in _OPENERS:
        del words[0]
    if run.caused:
        # "(Have) the stylist book the next appointment": what is to be done.
        done = next((n for n, (_, each) in enumerate(words) if VERB in _read(fold(each)).marks), 0)
        del words[:done]
    elif (
        not begins
        and len(words) > 1
        and fold(words[1][1]) == "to"
        and _read(fold(words[0][1])).is_person
    ):
        # "(Teach) the stylist to recommend".
        del words[:2]
    whole = ends
    if words and not ends and _waits(words):
        _shorten(words)
    while words and (_too_long(words) or _hangs(words, whole)):
        _shorten(words)
        whole = False
    folded = tuple(fold(each) for _, each in words)
    return _Phrase(folded, _text(words), begins)


def _shorten(words: list[tuple[str, str]]) -> None:
    """Leave out the last part of a phrase, or its last word if that begins a part or there is one part."""
    ends = [
        place
        for place, (before, each) in enumerate(words)
        if place and ("," in before or fold(each) in _BOUNDARIES)
    ]
    del words[ends[-1] if ends else -1 :]


def _waits(words: Sequence[tuple[str, str]]) -> bool:
    """Whether the last word is nothing but a verb, whose object is left out."""
    last = fold(words[-1][1])
    marks = _read(last).marks
    return says_something(last) and VERB in marks and NOUN not in marks


def _hangs(words: Sequence[tuple[str, str]], whole: bool) -> bool:
    """Whether the last word waits for another one."""
    last = fold(words[-1][1])
    before = fold(words[-2][1]) if len(words) > 1 else ""
    if last in _PARTICLES and before.endswith("%"):
        return False
    if not says_something(last):
        return not (whole and last in _PARTICLES)
    read = _read(last)
    if VERB in read.marks and before in _JOINING | {"to"}:
        # "Apologize and offer": something.
        return not whole
    return not whole and ADJECTIVE in read.marks and not read.is_thing


def _too_long(words: Sequence[tuple[str, str]]) -> bool:
    return len(words) > MOST_WORDS or len(_text(words)) > MOST_CHARACTERS


def _text(words: Sequence[tuple[str, str]]) -> str:
    """The words as they stand, with slots as words."""
    text = "".join(between + each for between, each in words)
    return " ".join(re.sub(r"[\[\]{}_]", " ", text).split()).strip(" ,-")
