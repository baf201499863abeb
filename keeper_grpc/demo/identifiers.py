"""What the sample declares as identifying: none of it may be stored anywhere."""

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
"""Letters of a name's part that is searched alone; shorter ones stand inside ordinary words."""

_SHORTEST_IN_BYTES = 6
"""Characters of what is searched in bytes: keyed hashes are random, and hold any short string."""

_NATIONAL_DIGITS = 10
_LOCAL_DIGITS = 4
"""Digits of a North American number without its country code, and of its last group."""

_MEMORY = 256 * 1024 * 1024
"""Bytes that the matcher may use; too few and it would give up."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """One thing to look for. `value` is as declared; `pattern` matches it in folded text."""

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
    """Everything declared, whole and in parts, once each.

    `innocent` are texts that name nobody: a name's part that stands in one of them ("Spa",
    "Studio") would be found without a leak, and is left out.
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
        # Not commas: the numbers of a list are not one number.
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
