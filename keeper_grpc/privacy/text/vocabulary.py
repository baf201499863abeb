"""Layer 5: words that nobody knows are masked, because the name that no list has is such a word.

A word may stay when it is common English, the trade's own vocabulary, or used by k distinct
accounts. The first two are files of this package, the third comes from the store.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from keeper_grpc.privacy.text.draft import Draft, Span
from keeper_grpc.privacy.text.tokens import Word
from keeper_grpc.privacy.text.word_lists import DATA, WordListLost, read_words


class ApprovedWords(Protocol):
    """The words that at least k distinct accounts use. Folded; looked up while a text is masked,
    so an implementation answers from memory.
    """

    def __contains__(self, word: object, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that may stay, and what is known about names. All words are folded.

    known: common English and the trade's words.
    given_words: known words that are given names, too (Rose, Will, Grace).
    mostly_names: the given_words that are names more often than words.
    surname_words: known words that are surnames, too (Young, Stone, Price).
    given_names, surnames: names that are not words.
    verb_forms: third persons and past tenses: what people do.
    trade: known words of the trade, which are no surnames (Gold, Stone, Spa).
    approved: words that k accounts use.
    """

    known: frozenset[str]
    given_words: frozenset[str] = frozenset()
    mostly_names: frozenset[str] = frozenset()
    surname_words: frozenset[str] = frozenset()
    given_names: frozenset[str] = frozenset()
    surnames: frozenset[str] = frozenset()
    verb_forms: frozenset[str] = frozenset()
    trade: frozenset[str] = frozenset()
    approved: ApprovedWords = field(default_factory=frozenset)

    def knows(self, word: str) -> bool:
        """Whether the folded word may stay. No number of accounts makes a name a word."""
        return word in self.known or (not self.is_name(word) and word in self.approved)

    def is_name(self, word: str) -> bool:
        """Whether the folded word is a name and nothing else."""
        return word in self.given_names or word in self.surnames

    def with_approved(self, approved: ApprovedWords) -> Vocabulary:
        """This vocabulary with the words that k accounts use."""
        return replace(self, approved=approved)


@functools.cache
def default_vocabulary() -> Vocabulary:
    """The vocabulary of this package's files. Raises WordListLost when they are not what was built.

    About 50 ms, once a process.
    """
    try:
        sums = (DATA / "SHA256SUMS").read_text().split()
        lists = dict(zip(sums[1::2], sums[::2], strict=True))
        for name, digest in lists.items():
            if hashlib.sha256((DATA / name).read_bytes()).hexdigest() != digest:
                raise WordListLost(name)
        read = {name.removesuffix(".txt"): read_words(DATA / name) for name in lists}
        return Vocabulary(
            known=read["vocabulary"],
            given_words=read["given_words"],
            mostly_names=read["mostly_names"],
            surname_words=read["surname_words"],
            given_names=read["given_names"],
            surnames=read["surnames"],
            verb_forms=read["verb_forms"],
            trade=read["trade_words"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise WordListLost(str(error)) from error


class LanguageNotCovered(Exception):
    """Most words of a text are unknown: the name rules, which are English, would vouch for little."""


class Coverage:
    """Refuses a text in a language that the layers do not cover. It masks nothing."""

    FEWEST_WORDS = 6
    """Shorter texts say too little about their language; their unknown words are masked anyway."""
    SMALLEST_SHARE = 0.5
    """English prose of the trade has 85 to 100% known words, other languages 5 to 35%."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def __call__(self, draft: Draft) -> None:
        known = unknown = 0
        for word in draft.words():
            if len(word.key) == 1 and word.key.isascii():
                continue
            if self._vocabulary.knows(word.key):
                known += 1
            elif not (word.capitalized and self._vocabulary.is_name(word.key)):
                unknown += 1
        total = known + unknown
        if total >= self.FEWEST_WORDS and known < total * self.SMALLEST_SHARE:
            raise LanguageNotCovered


class Threshold:
    """Masks every word that the vocabulary does not know as `[other]`."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def __call__(self, draft: Draft) -> None:
        draft.record.check_time()
        draft.replace(self._spans(draft.words(), draft.unknown))

    def _spans(self, found: list[Word], unknown: set[str]) -> Iterator[Span]:
        spelled: list[Word] = []
        for word in found:
            letter = len(word.key) == 1 and word.key.isascii()
            near = spelled and word.start - spelled[-1].end <= SPELLED_GAP
            if spelled and not (letter and near):
                yield from _spelled_out(spelled)
                spelled = []
            if letter:
                spelled.append(word)
            elif not self._vocabulary.knows(word.key):
                if not self._vocabulary.is_name(word.key):
                    unknown.add(word.key)
                yield Span(word.start, word.end, "unknown_word", "[other]")
        yield from _spelled_out(spelled)


SPELLED_GAP = 2
"""Letters at most this far apart belong together: `J-a-n-e`, `J. A. N. E.`"""
SPELLED_FROM = 3
"""This many single letters in a row spell something out."""


def _spelled_out(letters: list[Word]) -> Iterator[Span]:
    """One letter is a vitamin or a plan; a row of them is a name spelled out."""
    if len(letters) >= SPELLED_FROM:
        yield Span(letters[0].start, letters[-1].end, "unknown_word", "[other]")
