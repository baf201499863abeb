"""What words mean to each other: forms of one word, derivations, synonyms, opposites.

The lexicon is WordNet's, cut down to the words that the anonymizer leaves in a text (data/NOTICE,
tools/build_lexicon.py).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parent / "data"

NOUN, THING, VERB, ADJECTIVE, PERSON = "onvap"
"""Marks of an entry. A THING is a noun at least as often as anything else, a PERSON is one."""

_SUFFIXES: Final = (
    ("ies", "y"),
    ("es", ""),
    ("s", ""),
    ("ied", "y"),
    ("ed", "e"),
    ("ed", ""),
    ("ing", "e"),
    ("ing", ""),
    ("est", "e"),
    ("est", ""),
    ("er", "e"),
    ("er", ""),
    ("ly", ""),
)
_SHORTEST_STEM: Final = 2
_NEGATIVE: Final = ("un", "dis", "non", "in", "im", "ir", "de", "under", "mis")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text under every reading of its form ("booking": the noun, and the verb "book").

    families: base forms, and for each the word that stands for all that derive from one another.
    meanings: numbers of WordNet's synonym sets. opposites: base forms. marks: of the form itself.
    """

    text: str
    families: frozenset[str]
    meanings: frozenset[int] = frozenset()
    opposites: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset((NOUN, THING))

    def means(self, other: Word) -> bool:
        """Whether the two are forms, derivations or synonyms of one word."""
        return bool(self.families & other.families or self.meanings & other.meanings)

    def opposes(self, other: Word) -> bool:
        """Whether the two are antonyms, by meaning or by a negative prefix ("agree", "disagree")."""
        return bool(
            self.opposites & other.families
            or other.opposites & self.families
            or self._negates(other)
            or other._negates(self)
        )

    def _negates(self, other: Word) -> bool:
        return any(
            prefix + family in self.families for prefix in _NEGATIVE for family in other.families
        )

    def read_as(self, thing: bool) -> Word:
        """The same word where its place in the text says that it is a thing, or is done."""
        if thing:
            return replace(self, marks=self.marks | {THING})
        return replace(self, marks=self.marks - {THING, PERSON})

    @property
    def is_thing(self) -> bool:
        return THING in self.marks

    @property
    def is_person(self) -> bool:
        return PERSON in self.marks


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Lines of the lexicon by base form, read when a word is asked for; and irregular forms."""

    entries: Mapping[str, str]
    irregular: Mapping[str, str]

    def __contains__(self, word: object) -> bool:
        return word in self.entries

    def read(self, text: str) -> Word:
        """The word under every reading. An unknown one means itself, and a thing (a brand)."""
        families: set[str] = set()
        meanings: set[int] = set()
        opposites: set[str] = set()
        own: set[str] = set()
        for base in self.bases(text):
            if base not in self.entries:
                continue
            family, marks, synonyms, opposed = self.entries[base].split(" ")
            if base == text or text.endswith("s"):
                own.update(marks)
            elif not families:
                own.update(set(marks) - {NOUN, THING, ADJECTIVE})
            families |= {base, family}
            meanings.update(map(int, synonyms.split(",") if synonyms != "-" else ()))
            opposites.update(opposed.split(",") if opposed != "-" else ())
        if not families:
            return Word(text, frozenset({text}))
        return Word(
            text,
            frozenset(families),
            frozenset(meanings),
            frozenset(opposites),
            frozenset(own),
        )

    def bases(self, text: str) -> Iterator[str]:
        """What `text` may be a form of, itself first. Not all of them are words."""
        yield text
        if text in self.irregular:
            yield self.irregular[text]
        for suffix, instead in _SUFFIXES:
            stem = text.removesuffix(suffix)
            if stem == text or len(stem) < _SHORTEST_STEM:
                continue
            yield stem + instead
            if not instead and stem[-1] == stem[-2]:
                yield stem[:-1]


@functools.cache
def lexicon() -> Lexicon:
    """The lexicon of this package: 16 ms, once a process."""
    entries: dict[str, str] = {}
    irregular: dict[str, str] = {}
    for line in (DATA / "lexicon.txt").read_text("ascii").splitlines():
        word, _, rest = line.partition(" ")
        if rest.startswith("="):
            irregular[word] = rest[1:]
        else:
            entries[word] = rest
    return Lexicon(entries, irregular)
