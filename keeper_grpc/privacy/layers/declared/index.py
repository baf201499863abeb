"""The declared names of one record by folded word: how people and businesses may be written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from keeper_grpc.privacy.text import cues
from keeper_grpc.privacy.text.tokens import keys
from keeper_grpc.privacy.text.vocabulary import Vocabulary
from keeper_grpc.privacy.text.word_lists import listed

_EMPTY_WORDS: Final = frozenset(
    listed("the and of a an at in on by for n llc inc ltd co corp company")
)
GENERIC: Final = frozenset(
    listed(
        "spa spas salon salons gym studio studios wellness beauty hair nail nails fitness yoga "
        "massage day center centre club bar lounge house room shop and the of med medical health "
        "body skin therapy clinic barber barbershop training pilates style styles care family new "
        "best"
    )
)
"""Words of a business's name that say what it is, not which."""


@dataclass(frozen=True, slots=True)
class Who:
    """One declared person or business. kind: as the report counts it. role: as the text says it."""

    kind: str
    role: str
    identity: str


@dataclass(slots=True)
class NameIndex:
    """The declared names of one record by folded word.

    people: each part of a person's name. joined: parts run together. initials: `jd`.
    phrases: runs of words of a business, by their first word. leading: the first telling word of one.
    wanted: all of these words. lengths: of people and joined, to look at few pairs of words.
    """

    vocabulary: Vocabulary
    people: dict[str, Who] = field(default_factory=dict)
    joined: dict[str, Who] = field(default_factory=dict)
    initials: dict[str, Who] = field(default_factory=dict)
    leading: dict[str, Who] = field(default_factory=dict)
    phrases: dict[str, list[tuple[tuple[str, ...], Who]]] = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()
    lengths: frozenset[int] = frozenset()

    def add_person(self, name: str, kind: str, role: str) -> None:
        """Add a customer or an employee; `kind` and `role` as in `Who`."""
        parts = keys(name)
        # A title in front is nobody's; a surname like Lord or Judge is.
        while len(parts) > 1 and self._is_title(parts[0]):
            parts = parts[1:]
        if not parts:
            return
        who = Who(kind, role, " ".join(parts))
        for part in parts:
            for spelling in _spellings(part):
                self.people.setdefault(spelling, who)
        if len(parts) > 1:
            self.joined["".join(parts)] = who
            self.joined["".join(reversed(parts))] = who
            for short in (parts[0][0] + parts[-1], parts[0] + parts[-1][0]):
                if short not in self.vocabulary.known:  # S. Pa is no spa
                    self.joined.setdefault(short, who)
            self.initials["".join(part[0] for part in parts)] = who
            self.initials[parts[0][0] + parts[-1][0]] = who

    def _is_title(self, key: str) -> bool:
        return key in cues.TITLES and key not in self.vocabulary.given_words

    def add_business(self, name: str) -> None:
        """Add a business's name."""
        # `Light & Salt` is also written `Light and Salt`, `Light n Salt` and `Light Salt`.
        spelled = keys(name.replace("&", " and ").replace("+", " and "))
        bare = [part for part in spelled if part not in {"and", "n"}]
        if not bare:
            return
        who = Who("business_name", "business", " ".join(bare))
        variants = [bare]
        if len(bare) < len(spelled):
            variants += [spelled, ["n" if part == "and" else part for part in spelled]]
        for run in dict.fromkeys(run for parts in variants for run in _telling_runs(parts)):
            self.phrases.setdefault(run[0], []).append((run, who))
        telling = [part for part in bare if part not in _EMPTY_WORDS]
        which = [part for part in telling if part not in GENERIC]
        if len(bare) > 1:
            joined = {"".join(words) for words in (spelled, bare, telling)} - GENERIC
            self.joined.update(dict.fromkeys(joined, who))
        if len(telling) == 1 and telling == which:
            self.phrases.setdefault(telling[0], []).append(((telling[0],), who))
        for part in which:
            if part not in self.vocabulary.known:
                self.phrases.setdefault(part, []).append(((part,), who))
        if len(telling) > 1 and telling[0] in which:
            self.leading.setdefault(telling[0], who)

    def close(self) -> None:
        """Call when everything is in."""
        named = (*self.people, *self.phrases)
        wanted = {*named, *self.joined, *self.initials, *self.leading}
        wanted.update([f"{name}s" for name in named])
        self.wanted = frozenset(wanted)
        self.lengths = frozenset(map(len, (*self.people, *self.joined)))
        for runs in self.phrases.values():
            if len(runs) > 1:
                runs.sort(key=_longest_first)


def _longest_first(found: tuple[tuple[str, ...], Who]) -> int:
    return -len(found[0])


def _telling_runs(parts: list[str]) -> Iterator[tuple[str, ...]]:
    """Every run of two words or more that says more than what kind of business it is.

    The whole name goes even if it says no more: `Nail Bar`, `The Body Shop`.
    """
    whole = len(parts) - 1 if parts[0] == "the" and len(parts) > 2 else len(parts)  # noqa: PLR2004  # The, and two more
    telling = [part not in _EMPTY_WORDS and part not in GENERIC for part in parts]
    for length in range(len(parts), 1, -1):
        for start in range(len(parts) - length + 1):
            if length >= whole or any(telling[start : start + length]):
                yield tuple(parts[start : start + length])


def _spellings(part: str) -> Iterator[str]:
    """A part of a name; `O'Brien` is also written OBrien and O Brien."""
    if len(part) > 1:
        yield part
    if "'" in part:
        yield part.replace("'", "")
        yield from (piece for piece in part.split("'") if len(piece) > 2)  # noqa: PLR2004  # not the O
