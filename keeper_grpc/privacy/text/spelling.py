"""The word that was meant by a misspelt one, where there can be no doubt about it."""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA

from keeper_grpc.privacy.text.vocabulary import Vocabulary

SHORTEST: Final = 3
"""Letters. Shorter words are abbreviations as often as slips."""
SHORT: Final = 4
"""Up to this length only letters in each other's place are a slip: one other letter makes another word."""
LONG: Final = 8
"""From this length two slips leave no doubt."""
SHORTHAND: Final[Mapping[str, str]] = {
    "appt": "appointment",
    "appts": "appointments",
    "bday": "birthday",
    "msg": "message",
    "msgs": "messages",
    "resched": "reschedule",
    "tmrw": "tomorrow",
    "txt": "text",
    "txts": "texts",
    "wknd": "weekend",
}
"""How notes of the trade are written in a hurry."""
SHORTEST_PART: Final = 4
PREFIXES: Final = ("co", "mid", "non", "off", "out", "pre", "re", "un", "up")
"""With `SHORTEST_PART`: what makes a word of its own of a known one, as in "underbook", "rebraid"."""
NO_NAMES: Final = frozenset({"the"})
"""Everyday words in the census's list of surnames that no text means as one."""


class Slip(IntEnum):
    """How a word came to be misspelt, the likeliest first."""

    SWAPPED = 0
    DOUBLED = 1
    OTHER = 2


_Index = Mapping[tuple[str, int], tuple[str, ...]]
_Near = tuple[int, Slip]
"""(number of slips, kind): the smaller, the nearer."""


class Spelling:
    """Corrects slips of the vocabulary's words, and nothing that may be a name.

    What is meant begins with the same letter and differs by one slip (two in a long word): two letters
    in each other's place, a letter once instead of twice, or any other letter too many, too few or
    wrong. A word stays as it is when two are equally near, unless one alone is of the trade; when it is
    made of known words ("underbook"); and when a name is within as many slips, unless a word of the
    trade is likelier. None is corrected to a word that is a name, too, which the trade does not use.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._known = vocabulary.known
        self._sure, self._words, self._names = _indexes(
            known=vocabulary.known,
            trade=vocabulary.trade,
            given=vocabulary.given_words,
            mostly_names=vocabulary.mostly_names,
            surname_words=vocabulary.surname_words,
            given_names=vocabulary.given_names,
            surnames=vocabulary.surnames,
        )

    def meant(self, word: str, *, may_be_a_name: bool) -> str | None:
        """The known word that this folded, unknown one is a slip of; None where there is doubt.

        `may_be_a_name`: where and how it is written, a name could stand. Then any near name is doubt.
        """
        if word in SHORTHAND:
            return SHORTHAND[word]
        plain = len(word) >= SHORTEST and word.isascii() and word.isalpha()
        if not plain or self._is_compound(word):
            return None
        slips = 1 if len(word) < LONG else 2
        nearness, near = _nearest(word, self._words, slips)
        if nearness is None:
            return None
        if len(near) > 1:
            near = [found for found in near if found in self._sure]
        if len(near) != 1 or (len(word) <= SHORT and nearness[1] is not Slip.SWAPPED):
            return None
        of_a_name, _ = _nearest(word, self._names, nearness[0])
        likelier = near[0] in self._sure and not may_be_a_name
        return near[0] if of_a_name is None or (likelier and nearness < of_a_name) else None

    def _is_compound(self, word: str) -> bool:
        return any(
            word[:at] in self._known and word[at:] in self._known
            for at in range(SHORTEST_PART, len(word) - SHORTEST_PART + 1)
        ) or any(
            word.startswith(prefix)
            and len(word) - len(prefix) >= SHORTEST_PART
            and word.removeprefix(prefix) in self._known
            for prefix in PREFIXES
        )


@functools.lru_cache(maxsize=1)
def _indexes(
    *,
    known: frozenset[str],
    trade: frozenset[str],
    given: frozenset[str],
    mostly_names: frozenset[str],
    surname_words: frozenset[str],
    given_names: frozenset[str],
    surnames: frozenset[str],
) -> tuple[frozenset[str], _Index, _Index]:
    """The words that are meant in doubt, the words that may be meant, and the names.

    Made once a process for the lists of this package, which takes a tenth of a second and more: what accounts
    approve is none of it, so that an anonymizer with other approved words takes the same.
    """
    given |= mostly_names
    sure = ((trade - given) | NO_NAMES) & known
    doubtful = (given | surname_words) - sure
    return sure, _index(known - doubtful), _index(given_names | surnames | doubtful)


def _index(words: Iterable[str]) -> _Index:
    index: dict[tuple[str, int], list[str]] = defaultdict(list)
    for word in words:
        index[word[:1], len(word)].append(word)
    return {key: tuple(found) for key, found in index.items()}


def _nearest(word: str, index: _Index, slips: int) -> tuple[_Near | None, list[str]]:
    """How near the nearest words within so many slips are, and which they are."""
    found: dict[_Near, list[str]] = defaultdict(list)
    for length in range(len(word) - slips, len(word) + slips + 1):
        choices = index.get((word[0], length), ())
        for choice, distance, _ in process.extract(
            word, choices, scorer=OSA.distance, score_cutoff=slips, limit=None
        ):
            found[int(distance), slip(word, choice)].append(choice)
    return min(found.items(), default=(None, []))


def slip(word: str, other: str) -> Slip:
    """How `word` came to be written for `other`."""
    if sorted(word) == sorted(other):
        return Slip.SWAPPED
    return Slip.DOUBLED if _once(word) == _once(other) else Slip.OTHER


def _once(word: str) -> str:
    return "".join(letter for letter, _ in itertools.groupby(word))
