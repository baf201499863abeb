"""What two actions say in common, and what each says alone: by words, where no cosine can tell.

"Recommend the shampoo" and "recommend the conditioner" are as alike to a model as two wordings of one
action. Here they are two: among shared words one thing stands in the other's place.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keeper_grpc.domain.patterns.merging.lexicon import (
    ADJECTIVE,
    NOUN,
    PERSON,
    THING,
    VERB,
    Word,
    lexicon,
)
from keeper_grpc.domain.patterns.merging.spanish import in_english
from keeper_grpc.domain.patterns.merging.trade_words import (
    BEFORE_A_THING,
    BEFORE_A_VERB,
    CHANNELS,
    CUSTOMER,
    CUSTOMERS,
    EMPTY,
    SAME,
    VISITS,
)

_WORD: Final = re.compile(r"[a-z]+")
_MASK: Final = re.compile(r"\[[^\[\]]*\]|\{[^{}]*\}")
_LENGTH: Final = re.compile(r"[a-z0-9%]+")

TERSE_WORDS: Final = 4
"""An action of at most so many words is a note ("trial month"), not a sentence that begins with a verb."""
SAME_SENTENCE: Final = 0.7
"""From this share of words in common, beside the things that differ, two actions are one sentence in
which something was replaced."""
WORDY: Final = 2
"""Times as long as a note is the sentence that says the same in full, at least."""
REMEMBERED: Final = 4_096
"""Actions whose words are kept: a scope's actions come again with every capture. They are anonymized."""

_CUSTOMER: Final = Word(CUSTOMER, frozenset({CUSTOMER}), marks=frozenset({NOUN, THING, PERSON}))
_REPLACES_NOTHING: Final = VISITS | CHANNELS | {CUSTOMER}


@dataclass(frozen=True, slots=True)
class Content:
    """words: those that carry meaning, each once. light: families of the others. length: in words.

    tokens: all words as they stand.
    """

    words: tuple[Word, ...]
    light: frozenset[str]
    length: int
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two actions, word by word.

    shared: words of meaning that both say, beside the customer. left, right: those that one alone
    says. terse_left, terse_right: it is a note, and all that it says is in the other, a sentence.
    frame: the share of all words that both have, beside the things that one alone says.
    """

    shared: int
    left: tuple[Word, ...]
    right: tuple[Word, ...]
    terse_left: bool
    terse_right: bool
    frame: float

    @property
    def opposed(self) -> bool:
        """Whether a word of one is the opposite of a word of the other."""
        return any(one.opposes(other) for one in self.left for other in self.right)

    @property
    def substituted(self) -> bool:
        """Whether something stands in the place of something else.

        One role in that of another, in any sentence. A thing in that of a thing, and the customer in that
        of somebody else, where the rest is much the same sentence: the difference is the point. In
        another sentence it may be another word for the same.
        """
        left, right = _people(self.left), _people(self.right)
        if left - {CUSTOMER} and right - {CUSTOMER}:
            return True
        things = min(len(_things(self.left)), len(_things(self.right)))
        in_place = bool(left and right) or 0 < things <= self.shared
        return in_place and self.frame >= SAME_SENTENCE

    @property
    def other_people(self) -> bool:
        """Whether each is about somebody whom the other does not name."""
        return bool(_people(self.left) and _people(self.right))

    @property
    def unlike(self) -> bool:
        """Whether each names things that the other does not, and they share a word at most."""
        return self.shared <= 1 and bool(_things(self.left) and _things(self.right))


def compare(one: str, other: str) -> Comparison:
    """Compare two actions, in any case. Symmetric, but for left and right."""
    here, there = content(one), content(other)
    left = _alone(here, there)
    right = _alone(there, here)
    shared = min(
        len(_without_customer(here.words)) - len(_without_customer(left)),
        len(_without_customer(there.words)) - len(_without_customer(right)),
    )
    return Comparison(
        shared,
        left,
        right,
        terse_left=shared > 0 and _is_note_of(here, left, there),
        terse_right=shared > 0 and _is_note_of(there, right, here),
        frame=_frame(here, left, there, right),
    )


@functools.lru_cache(maxsize=REMEMBERED)
def content(action: str) -> Content:
    """The content of an action. What the anonymizer masked is none: it may have been anything."""
    text = _MASK.sub(" ", in_english(action).lower())
    length = len(_LENGTH.findall(text))
    for pattern, name in SAME:
        text = pattern.sub(f" {name} ", text)
    found = _WORD.findall(text)
    known = lexicon()
    light = (known.read(text).families for text in found if text in EMPTY)
    words: dict[str, Word] = {}
    for word in _read(found, note=length <= TERSE_WORDS):
        words.setdefault(word.text, word)
    return Content(tuple(words.values()), frozenset[str]().union(*light), length, tuple(found))


def _read(found: list[str], *, note: bool) -> Iterator[Word]:
    """The words that carry meaning, phrasal verbs as one, each as its place in the text has it."""
    known = lexicon()
    after_thing = False
    at = 0
    while at < len(found):
        text, before = found[at], found[at - 1] if at else ""
        follows = found[at + 1] if at + 1 < len(found) else ""
        at += 1
        phrasal = _phrasal(text, follows)
        if phrasal is not None:
            at += 1
            after_thing = False
            yield phrasal
        elif text in CUSTOMERS:
            after_thing = False
            yield _CUSTOMER
        elif text in EMPTY or len(text) == 1:
            after_thing = False
        else:
            word = known.read(text)
            if {NOUN, VERB} <= word.marks:
                described = ADJECTIVE in word.marks and follows and follows not in EMPTY
                if (not before and not note) or before in BEFORE_A_VERB:
                    word = word.read_as(thing=False)
                elif (before in BEFORE_A_THING or after_thing) and not described:
                    word = word.read_as(thing=True)
            after_thing = word.is_thing
            yield word


def _phrasal(verb: str, particle: str) -> Word | None:
    """The phrasal verb, which keeps the meaning of its verb unless that has none: "bring up"."""
    known = lexicon()
    for base in known.bases(verb):
        phrase = f"{base}_{particle}"
        if phrase not in known:
            continue
        whole = known.read(phrase)
        if verb in EMPTY:
            if not whole.meanings:
                continue
            return whole.read_as(thing=False)
        own = known.read(verb)
        return Word(
            phrase,
            whole.families | own.families,
            whole.meanings | own.meanings,
            whole.opposites,
            frozenset(VERB),
        )
    return None


def _frame(here: Content, left: tuple[Word, ...], there: Content, right: tuple[Word, ...]) -> float:
    one = Counter(here.tokens) - Counter(word.text for word in _things(left))
    other = Counter(there.tokens) - Counter(word.text for word in _things(right))
    return 2 * (one & other).total() / max(1, one.total() + other.total())


def _alone(here: Content, there: Content) -> tuple[Word, ...]:
    return tuple(
        word
        for word in here.words
        if not word.families & there.light and not any(word.means(other) for other in there.words)
    )


def _without_customer(words: tuple[Word, ...]) -> list[Word]:
    return [word for word in words if word.text != CUSTOMER]


def _things(words: tuple[Word, ...]) -> list[Word]:
    return [word for word in words if word.is_thing and word.text not in _REPLACES_NOTHING]


def _people(words: tuple[Word, ...]) -> set[str]:
    return {word.text for word in words if word.is_person}


def _is_note_of(note: Content, alone: tuple[Word, ...], sentence: Content) -> bool:
    return (
        note.length <= TERSE_WORDS
        and sentence.length >= WORDY * note.length
        and all(word.text in _REPLACES_NOTHING for word in alone)
    )
