"""The identifiers that the sample declares: none of them may be stored anywhere."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import re2  # type: ignore[import-untyped]  # the library ships no types

from keeper_grpc.demo.history import Identifiers

_PHONES = "customer_phones"
_EMAILS = "customer_emails"

_SHORTEST_PART = 4
"""Fewest letters of a part of a name that is searched alone; shorter ones occur in ordinary words."""

_SHORTEST_IN_BYTES = 6
"""Fewest characters of a search in bytes: keyed hashes are random and contain any short string."""

_NATIONAL_DIGITS = 10
_LOCAL_DIGITS = 4
"""Digits of a North American number without its country code, and of its last group."""

_MEMORY = 256 * 1024 * 1024
"""Memory limit of the matcher in bytes; with too little it gives up."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """One search term. `value` is as declared; `pattern` matches it in folded text."""

    value: str
    pattern: str


class Finder:
    """Finds identifiers in text, all of them in one pass."""

    def __init__(self, identifiers: Iterable[Identifier]) -> None:
        self.identifiers = tuple(identifiers)
        self._text = _matcher(self.identifiers)
        self._long = tuple(i for i in self.identifiers if len(i.value) >= _SHORTEST_IN_BYTES)
        self._bytes = _matcher(self._long)

    def in_text(self, text: str) -> set[Identifier]:
        """The identifiers in a text, in any case, with or without accents, phones in any grouping."""
        return {self.identifiers[index] for index in self._text.Match(_folded(text)) or ()}

    def in_bytes(self, data: bytes) -> set[Identifier]:
        """The same for bytes that may be text; short identifiers occur there by chance, and do not count."""
        text = _folded(data.decode(errors="replace"))
        return {self._long[index] for index in self._bytes.Match(text) or ()}


def planted(declared: Iterable[Identifiers], innocent: Iterable[str]) -> list[Identifier]:
    """All declared identifiers, whole and in parts, once each.

    `innocent` are texts without identifiers: a part of a name that occurs in one of them ("Spa",
    "Studio") would be found without a leak, so it is left out.
    """
    ordinary = _folded("\n".join(innocent))
    found: dict[str, Identifier] = {}
    for identifiers in declared:
        for field, values in identifiers.items():
            for value in values:
                for identifier in _forms(field, value, ordinary):
                    found.setdefault(identifier.pattern, identifier)
    return list(found.values())


def _forms(field: str, value: str, ordinary: str) -> Iterable[Identifier]:
    if field == _PHONES:
        digits = re.sub(r"\D", "", value)[-_NATIONAL_DIGITS:]
        # Commas do not join digits: the numbers of a list are separate numbers.
        yield Identifier(value, r"[\s().+-]{0,3}".join(digits))
        local = digits[-_NATIONAL_DIGITS + 3 :]
        exchange, line = local[:-_LOCAL_DIGITS], local[-_LOCAL_DIGITS:]
        yield Identifier(f"{exchange}-{line}", rf"\b{exchange}[\s.-]{{1,2}}{line}\b")
        return
    yield Identifier(value, re2.escape(_folded(value)))
    if field == _EMAILS:
        return
    for part in re.findall(r"[^\W\d_]+", value):
        if len(part) >= _SHORTEST_PART and _folded(part) not in ordinary:
            yield Identifier(part, re2.escape(_folded(part)))


def _folded(text: str) -> str:
    """Without case and accents."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


def _matcher(identifiers: Iterable[Identifier]) -> re2.Set:
    options = re2.Options()
    options.max_mem = _MEMORY
    matcher = re2.Set.SearchSet(options)
    for identifier in identifiers:
        matcher.Add(identifier.pattern)
    matcher.Compile()
    return matcher
