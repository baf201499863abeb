"""Declared addresses: every run of two of their words is found, in one pass over the text.

An address of n words has n * n / 2 runs; an expression for each took 5 ms an address. Here each word
of the text is looked up among the words of all addresses, and a hit is followed as far as it goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from keeper_grpc.privacy.text.draft import Draft, Span
from keeper_grpc.privacy.text.tokens import fold
from keeper_grpc.privacy.text.word_lists import listed

LONGEST_GAP: Final = 3
"""Characters between two words of an address: `, ` and one more."""
SHORTEST_TELLING: Final = 4
"""Characters of a word that gives an address away by itself: a ZIP code, a name no list has."""

_ALNUM: Final = re.compile(r"[^\W_]+")
_UNIT_AFTER: Final = re.compile(
    r",?\s{0,2}(?:(?:apt|apartment|unit|suite|ste|floor|fl|rm|room)\.?\s{0,2}#?\s?|#\s?)\w{1,6}\b",
    re.IGNORECASE,
)

_SPELLINGS: Final = {
    "st": "street",
    "str": "street",
    "ave": "avenue",
    "av": "avenue",
    "rd": "road",
    "blvd": "boulevard",
    "dr": "drive",
    "ln": "lane",
    "ct": "court",
    "pl": "place",
    "ter": "terrace",
    "terr": "terrace",
    "pkwy": "parkway",
    "hwy": "highway",
    "cir": "circle",
    "sq": "square",
    "trl": "trail",
    "apartment": "apt",
    "ste": "suite",
    "fl": "floor",
    "n": "north",
    "s": "south",
    "e": "east",
    "w": "west",
    "ne": "northeast",
    "nw": "northwest",
    "se": "southeast",
    "sw": "southwest",
    "first": "1st",
    "second": "2nd",
    "third": "3rd",
    "fourth": "4th",
    "fifth": "5th",
    "sixth": "6th",
    "seventh": "7th",
    "eighth": "8th",
    "ninth": "9th",
    "tenth": "10th",
}
"""Abbreviations (USPS Publication 28) and ordinals by the form that they are compared in."""

_STREET_WORDS: Final = frozenset(_SPELLINGS.values()) | frozenset(
    listed("way unit po box apt suite floor the of and")
)
"""What every address may have: a run of nothing but these says nothing."""

NUMBER_WORDS: Final = frozenset(
    listed(
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
        "hundred oh"
    )
)


class DeclaredAddresses:
    """The declared addresses of one record. known: words that give nothing away by themselves."""

    def __init__(self, addresses: Iterable[str], known: AbstractSet[str]) -> None:
        self._addresses = [
            tuple(_canonical(part) for part in _ALNUM.findall(address)) for address in addresses
        ]
        self._places: dict[str, list[tuple[int, int]]] = {}
        self._telling: set[str] = set()
        for number, parts in enumerate(self._addresses):
            for at, part in enumerate(parts):
                self._places.setdefault(part, []).append((number, at))
                if not (len(part) < SHORTEST_TELLING or part in known or part in _STREET_WORDS):
                    self._telling.add(part)

        words = {part for part in self._places if part.isalpha()}
        self._numbers = [part for part in self._places if part not in words]
        self._words = words.union(
            short for short, long in _SPELLINGS.items() if long in self._places
        )

    def __bool__(self) -> bool:
        return bool(self._places)

    def _may_be_in(self, draft: Draft) -> bool:
        """Whether any word of an address is in the text at all: most texts hold none."""
        lowered = draft.text.lower()
        return (
            not self._words.isdisjoint(draft.keys())
            or any(number in lowered for number in self._numbers)
            or "'" in lowered  # a word with an apostrophe is two in an address
            or not lowered.isascii()
        )

    def spans(self, draft: Draft) -> Iterator[Span]:
        """Where a part of an address stands, longest first; house number and unit go along."""
        text = draft.text
        if not self._may_be_in(draft):
            return
        found = [(*match.span(), _canonical(match[0])) for match in _ALNUM.finditer(text)]
        at = 0
        while at < len(found):
            length = self._run(draft, found, at) if found[at][2] in self._places else 0
            if length:
                first = at
                while first and _is_house_number(text, found, first):
                    first -= 1
                end = found[at + length - 1][1]
                unit = _UNIT_AFTER.match(text, end)
                end = unit.end() if unit else end
                start = found[first][0]
                yield Span(start, end, "address", "[address]")
                at += length
                while at < len(found) and found[at][0] < end:
                    at += 1
            else:
                at += 1

    def _run(self, draft: Draft, found: list[tuple[int, int, str]], at: int) -> int:
        """How many words from `at` on are part of a declared address and tell which one."""
        longest = 0
        for number, place in self._places[found[at][2]]:
            parts = self._addresses[number]
            length = 1
            while (
                place + length < len(parts)
                and at + length < len(found)
                and found[at + length][2] == parts[place + length]
                and found[at + length][0] - found[at + length - 1][1] <= LONGEST_GAP
            ):
                length += 1
            longest = max(longest, length)
        draft.record.check_time()
        run = [part for _, _, part in found[at : at + longest]]
        if longest > 1 and any(part not in _STREET_WORDS and len(part) > 1 for part in run):
            return longest
        return 1 if run[0] in self._telling else 0


def _canonical(part: str) -> str:
    folded = fold(part)
    return _SPELLINGS.get(folded, folded)


def _is_house_number(text: str, found: list[tuple[int, int, str]], first: int) -> bool:
    """Whether the word before is a number: `twelve oak street`, `14 Oak Street` for 12."""
    start, end, word = found[first - 1]
    here = found[first][2]
    number = word in NUMBER_WORDS or (word.isdigit() and not here.isdigit())
    return number and found[first][0] - end <= 2 and "\n" not in text[start : found[first][0]]  # noqa: PLR2004  # ", "
