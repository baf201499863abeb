"""Layer 6: words that nobody knows are masked, because the name that no list has is such a word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from keeper_grpc.privacy.text.draft import Draft, Span
from keeper_grpc.privacy.text.tokens import Word, fold
from keeper_grpc.privacy.text.vocabulary import Vocabulary


class LanguageNotCovered(Exception):
    """Most words of a text are unknown: the name rules, which are English, would vouch for little."""


class Coverage:
    """Refuses a text in a language that the layers do not cover. It masks nothing."""

    FEWEST_WORDS = 4
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


class UnknownWords:
    """Masks every word that the vocabulary does not know as `[other]`."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def __call__(self, draft: Draft) -> None:
        draft.record.check_time()
        if _FIGURE_INSIDE.search(draft.text):
            draft.replace(list(self._disguised(draft)))
        draft.replace(self._spans(draft.words(), draft.unknown))

    def _disguised(self, draft: Draft) -> Iterator[Span]:
        """`T4sha`: a name with figures for letters, of which the pieces may be words."""
        for match in _DISGUISED.finditer(draft.text):
            meant = fold(match[0].translate(_LETTERS))
            if self._vocabulary.is_name(meant) or meant in self._vocabulary.given_words:
                yield Span(*match.span(), "person", draft.record.role("person", meant))

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
            elif not word.settled and not self._vocabulary.knows(word.key):
                if not self._vocabulary.is_name(word.key):
                    unknown.add(word.key)
                yield Span(word.start, word.end, "unknown_word", "[other]")
        yield from _spelled_out(spelled)


_FIGURE_INSIDE: Final = re.compile(r"[0-9$](?<=[^\W\d_].)(?=[^\W\d_])")
"""Whether there is any: it begins with what is rare, and so costs next to nothing."""
_DISGUISED: Final = re.compile(r"[^\W\d_]+[0-9$][^\W\d_]+(?:[0-9$][^\W\d_]+){0,8}")
_LETTERS: Final = str.maketrans("013457$", "oieasts")

SPELLED_GAP = 2
"""Letters at most this far apart belong together: `J-a-n-e`, `J. A. N. E.`"""
SPELLED_FROM = 3
"""This many single letters in a row spell something out."""


def _spelled_out(letters: list[Word]) -> Iterator[Span]:
    """One letter is a vitamin or a plan; a row of them is a name spelled out."""
    if len(letters) >= SPELLED_FROM:
        yield Span(letters[0].start, letters[-1].end, "unknown_word", "[other]")
