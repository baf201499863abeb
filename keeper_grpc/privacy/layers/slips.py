"""Misspelt words of the vocabulary are put right, so that they are not masked and two spellings meet."""

from __future__ import annotations

from typing import Final

from keeper_grpc.privacy.text.draft import Draft
from keeper_grpc.privacy.text.name_scores import NAME_FROM, given_score
from keeper_grpc.privacy.text.reading import Reading
from keeper_grpc.privacy.text.spelling import Slip, Spelling, slip
from keeper_grpc.privacy.text.tokens import Word
from keeper_grpc.privacy.text.vocabulary import Vocabulary

MOST: Final = 12
"""Unknown words of a text that are looked at: each takes 0.3 ms. A text with more is no slip of the
pen but another language, which the next layer refuses."""

_SENTENCE_ENDS: Final = frozenset(".!?:\n")


class Slips:
    """Corrects misspelt words. It masks nothing, and touches no capitalized word within a sentence.

    What was declared and what the recognizers know is masked before. What it corrects is known
    vocabulary, which the layers behind it read like any other.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._spelling = Spelling(vocabulary)

    def __call__(self, draft: Draft) -> None:
        unknown = [(at, word) for at, word in enumerate(draft.words()) if self._unknown(word)]
        if not unknown or len(unknown) > MOST:
            return
        draft.record.check_time()
        corrections: dict[int, str] = {}
        for at, word in unknown:
            if word.capitalized and not _opens(draft.text, word):
                continue
            meant = self._spelling.meant(word.key, may_be_a_name=word.capitalized)
            if meant is not None and not self._stands_as_a_name(draft, at, meant):
                corrections[at] = meant.capitalize() if word.capitalized else meant
        if corrections:
            draft.respell(corrections)

    def _unknown(self, word: Word) -> bool:
        return not (
            word.settled
            or self._vocabulary.knows(word.key)
            or self._vocabulary.is_name(word.key)
            or word.key in self._vocabulary.places
        )

    def _stands_as_a_name(self, draft: Draft, at: int, meant: str) -> bool:
        """`call sipho back` means no siphon: a name that no list has may be one letter from a word."""
        if meant in self._vocabulary.trade or slip(draft.words()[at].key, meant) is not Slip.OTHER:
            return False
        return given_score(Reading.of(draft, self._vocabulary), at) >= NAME_FROM


def _opens(text: str, word: Word) -> bool:
    """Whether a sentence begins with the word, so that its capital says nothing."""
    before = text[: word.start].rstrip(" \t\"'(")
    return not before or before[-1] in _SENTENCE_ENDS
