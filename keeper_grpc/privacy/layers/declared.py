"""Layer 2: what the caller declared as identifying is scrubbed wherever it recurs.

Case, accents and possessives do not matter; a first name alone, a surname alone, initials, a
telephone number in any grouping, an address in part and small typos are found. A name that is a
word (Will, Rose) goes only where it stands as a name. What takes its place is a role.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from rapidfuzz.distance import DamerauLevenshtein

from keeper_grpc.domain.insight import Identifiers
from keeper_grpc.privacy.text import cues
from keeper_grpc.privacy.text.draft import Draft, Record, Span, is_slot
from keeper_grpc.privacy.text.name_scores import DECLARED_FROM, given_score
from keeper_grpc.privacy.text.reading import Reading
from keeper_grpc.privacy.text.tokens import keys
from keeper_grpc.privacy.text.vocabulary import Vocabulary

SHORTEST_TYPO: Final = 4
"""Shorter names are one letter away from too many words."""
TWO_TYPOS_FROM: Final = 8
"""From this length two slips may still be the same name."""
LOCAL_DIGITS: Final = 7
"""A telephone number is recognized by its last seven digits: with or without country and area."""

_EMPTY_WORDS: Final = frozenset(
    [
        "the",
        "and",
        "of",
        "a",
        "an",
        "at",
        "in",
        "on",
        "by",
        "for",
        "llc",
        "inc",
        "ltd",
        "co",
        "corp",
    ]
)
_STREET_WORDS: Final = frozenset(
    [
        "st",
        "street",
        "ave",
        "avenue",
        "rd",
        "road",
        "blvd",
        "boulevard",
        "dr",
        "drive",
        "ln",
        "lane",
        "ct",
        "court",
        "pl",
        "place",
        "way",
        "apt",
        "suite",
        "ste",
        "unit",
        "floor",
        "fl",
        "north",
        "south",
        "east",
        "west",
        "n",
        "s",
        "e",
        "w",
        "ne",
        "nw",
        "se",
        "sw",
        "po",
        "box",
    ]
)
_ALNUM: Final = re.compile(r"[^\W_]+")
_DIGITS: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class _Who:
    """One declared person or business. kind: as the report counts it. role: as the text says it."""

    kind: str
    role: str
    identity: str


@dataclass(slots=True)
class _Declared:
    """Everything declared with one record, indexed by folded word."""

    people: dict[str, _Who] = field(default_factory=dict)
    initials: dict[str, _Who] = field(default_factory=dict)
    phrases: dict[str, list[tuple[tuple[str, ...], _Who]]] = field(default_factory=dict)
    joined: dict[str, _Who] = field(default_factory=dict)
    exact: list[tuple[re.Pattern[str], str]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.people or self.phrases or self.exact)


def scrub_declared(draft: Draft) -> None:
    """The layer: what was declared with the draft's record."""
    if draft.record.scrub is None:
        raise NothingDeclared
    draft.record.scrub(draft)


class NothingDeclared(Exception):
    """The record came without its declared identifiers, not even an empty list of them."""


class Declared:
    """Scrubs one record's declared identifiers from its texts."""

    def __init__(self, identifiers: Identifiers, vocabulary: Vocabulary, record: Record) -> None:
        self._vocabulary = vocabulary
        self._table = _Declared()
        for name in identifiers.customer_names:
            self._add_person(name, "customer_name", record.customer_role)
        for name in identifiers.employee_names:
            self._add_person(name, "employee_name", "employee")
        for name in identifiers.business_names:
            self._add_business(name)
        for email in identifiers.customer_emails:
            self._add_email(email)
        for phone in identifiers.customer_phones:
            self._add_phone(phone)
        for address in identifiers.addresses:
            self._add_address(address)
        for runs in self._table.phrases.values():
            runs.sort(key=lambda found: len(found[0]), reverse=True)

    def __call__(self, draft: Draft) -> None:
        if self._table.empty:
            return
        for pattern, kind in self._table.exact:
            draft.record.check_time()
            draft.replace(
                Span(*match.span(), kind, f"[{kind}]") for match in pattern.finditer(draft.text)
            )
        self._scrub_words(draft)

    def matches(self, text: str) -> bool:
        """Whether any word of `text` is a declared one: for values that are no prose."""
        table = self._table
        return any(
            key in table.people or key in table.joined or self._typo_of(key) is not None
            for key in keys(text.replace("_", " "))
        )

    def _add_person(self, name: str, kind: str, role: str) -> None:
        parts = [key for key in keys(name) if key not in cues.TITLES or len(keys(name)) == 1]
        if not parts:
            return
        who = _Who(kind, role, " ".join(parts))
        if any(len(part) > 1 for part in parts):
            for part in parts:
                if len(part) > 1:
                    self._table.people.setdefault(part, who)
                    # `O'Brien` is also written OBrien and O Brien.
                    if "'" in part:
                        self._table.people.setdefault(part.replace("'", ""), who)
                        for piece in part.split("'"):
                            if len(piece) > 2:  # noqa: PLR2004  # not the O
                                self._table.people.setdefault(piece, who)
        if len(parts) > 1:
            self._table.joined["".join(parts)] = who
            self._table.joined["".join(reversed(parts))] = who
            self._table.joined[parts[0][0] + parts[-1]] = who
            self._table.joined[parts[0] + parts[-1][0]] = who
            self._table.initials["".join(part[0] for part in parts)] = who
            self._table.initials[parts[0][0] + parts[-1][0]] = who

    def _add_business(self, name: str) -> None:
        parts = keys(name)
        if not parts:
            return
        who = _Who("business_name", "business", " ".join(parts))
        self._add_phrases(parts, who, shortest=2)
        # `Light & Salt` is also written `Light and Salt`, and the other way round.
        spelled = keys(name.replace("&", " and ").replace("+", " and "))
        for variant in (spelled, [part for part in spelled if part != "and"]):
            if variant != parts:
                self._add_phrases(variant, who, shortest=2)
        telling = [part for part in parts if part not in _EMPTY_WORDS]
        if len(telling) > 1:
            self._table.joined["".join(parts)] = who
            self._table.joined["".join(telling)] = who
        if len(telling) == 1:
            self._table.joined[telling[0]] = who
            self._table.phrases.setdefault(telling[0], []).append(((telling[0],), who))
        for part in telling:
            if part not in self._vocabulary.known:
                self._table.phrases.setdefault(part, []).append(((part,), who))
        first = telling[0] if telling else ""
        if len(telling) > 1 and first in self._vocabulary.known and first not in _GENERIC:
            self._table.initials.setdefault("*" + first, who)

    def _add_phrases(self, parts: list[str], who: _Who, shortest: int) -> None:
        """Every run of at least `shortest` words that says more than what kind of business it is."""
        for length in range(len(parts), shortest - 1, -1):
            for start in range(len(parts) - length + 1):
                run = tuple(parts[start : start + length])
                if not all(part in _EMPTY_WORDS or part in _GENERIC for part in run):
                    self._table.phrases.setdefault(run[0], []).append((run, who))

    def _add_email(self, email: str) -> None:
        local, _, _domain = email.strip().partition("@")
        if email.strip():
            self._table.exact.append((_literal(email.strip()), "email"))
        if len(local) >= SHORTEST_TYPO and local.lower() not in self._vocabulary.known:
            self._table.exact.append((_literal(local), "email"))

    def _add_phone(self, phone: str) -> None:
        digits = "".join(_DIGITS.findall(phone))
        if len(digits) < LOCAL_DIGITS:
            if len(digits) >= SHORTEST_TYPO:
                self._table.exact.append((_literal(digits), "phone"))
            return
        last = digits[-LOCAL_DIGITS:]
        # Up to three separators between digits, and the rest of the number before them.
        before = r"(?:\+?(?:\d[^\w\n]{0,3}){1,8})?"
        spaced = r"[^\w\n]{0,3}".join(last)
        self._table.exact.append(
            (re.compile(rf"(?<!\d)[(+]{{0,2}}{before}{spaced}(?!\d)"), "phone")
        )
        # `the number ending in 0134`
        self._table.exact.append((re.compile(rf"(?<![\d.,$]){last[-4:]}(?![\d%])"), "phone"))

    def _add_address(self, address: str) -> None:
        parts = [part.lower() for part in _ALNUM.findall(address)]
        if not parts:
            return
        for length in range(len(parts), 1, -1):
            for start in range(len(parts) - length + 1):
                run = parts[start : start + length]
                if any(part not in _STREET_WORDS and len(part) > 1 for part in run):
                    self._table.exact.append(
                        (
                            re.compile(
                                r"\b" + r"[^\w]{1,3}".join(map(re.escape, run)) + r"\b",
                                re.IGNORECASE,
                            ),
                            "address",
                        )
                    )
        for part in parts:
            if len(part) > 3 and part not in self._vocabulary.known:  # noqa: PLR2004  # ZIP codes and telling names
                self._table.exact.append((_literal(part), "address"))

    def _scrub_words(self, draft: Draft) -> None:
        reading = Reading.of(draft, self._vocabulary)
        found: dict[int, _Who] = {}
        for at, word in enumerate(reading.words):
            if at % 128 == 0:
                draft.record.check_time()
            if at in found:
                continue
            for run, who in self._table.phrases.get(word.key, ()):
                if _run_at(reading, at, run):
                    found.update(dict.fromkeys(range(at, at + len(run)), who))
                    break
            else:
                named = self._person_at(reading, at)
                pair = None if named else self._split_name(reading, at)
                if named is not None:
                    found[at] = named
                elif pair is not None:
                    found[at] = found[at + 1] = pair
        self._absorb_initials(reading, found)
        self._absorb_coordinated(reading, found)
        if found:
            draft.replace(_spans(reading, found, draft.record))

    def _person_at(self, reading: Reading, at: int) -> _Who | None:
        table = self._table
        word = reading.words[at]
        key = word.key
        who = table.people.get(key) or table.joined.get(key)
        if who is None and key.endswith("s"):
            who = table.people.get(key[:-1])  # `the Doe`s` without its apostrophe: Does, Janes
            if who is not None and key in self._vocabulary.known:
                who = None
        if who is not None:
            if key not in self._vocabulary.known or self._stands_as_name(reading, at, who):
                return who
            return None
        if word.shouted and len(key) > 1:
            who = table.initials.get(key)
            if who is not None and key not in _ABBREVIATIONS:
                return who
        if word.capitalized and reading.cased and not reading.opens(at):
            business = table.initials.get("*" + key)
            if business is not None:
                return business
        return self._typo_of(key)

    def _split_name(self, reading: Reading, at: int) -> _Who | None:
        """`le blanc` for LeBlanc, `serenity spa` for SerenitySpa."""
        if at + 1 == len(reading.words):
            return None
        word, following = reading.words[at], reading.words[at + 1]
        if following.start - word.end > 1:
            return None
        joined = word.key + following.key
        return self._table.people.get(joined) or self._table.joined.get(joined)

    def _stands_as_name(self, reading: Reading, at: int, who: _Who) -> bool:
        """A declared name that is a word: beside the rest of the name, or where a name stands."""
        for near in (at - 1, at + 1):
            if 0 <= near < len(reading.words):
                other = self._table.people.get(reading.words[near].key)
                if other is who and reading.words[near].key != reading.words[at].key:
                    return True
        word = reading.words[at]
        if (
            word.key not in self._vocabulary.given_words
            and word.key not in self._vocabulary.surname_words
        ):
            return True
        return given_score(reading, at) >= DECLARED_FROM

    def _typo_of(self, key: str) -> _Who | None:
        if len(key) < SHORTEST_TYPO or key in self._vocabulary.known:
            return None
        for name, who in self._table.people.items():
            if len(name) < SHORTEST_TYPO or abs(len(name) - len(key)) > 2:  # noqa: PLR2004  # two slips at most
                continue
            allowed = 2 if len(name) >= TWO_TYPOS_FROM else 1
            if DamerauLevenshtein.distance(name, key, score_cutoff=allowed) <= allowed:
                return who
        return None

    def _absorb_initials(self, reading: Reading, found: dict[int, _Who]) -> None:
        """`J. Doe`, `Jane D.`, `J.D.`: single letters that are the person's."""
        letters = {
            at: None for at, word in enumerate(reading.words) if len(word.key) == 1
        }  # a dict is a set that keeps the order of the text
        for at in letters:
            for near in (at - 1, at + 1):
                who = found.get(near)
                if who and reading.words[at].key in {part[0] for part in who.identity.split()}:
                    gap = reading.text[
                        min(reading.words[at].end, reading.words[near].end) : max(
                            reading.words[at].start, reading.words[near].start
                        )
                    ]
                    if len(gap) <= 2 and (reading.words[at].capitalized or not reading.cased):  # noqa: PLR2004  # ". "
                        found.setdefault(at, who)
        for at in letters:
            following = at + 1
            if at in found or following not in letters or following in found:
                continue
            pair = reading.words[at].key + reading.words[following].key
            gap = reading.text[reading.words[at].end : reading.words[following].start]
            who = self._table.initials.get(pair)
            if who and gap in {".", ". "}:
                found[at] = found[following] = who

    def _absorb_coordinated(self, reading: Reading, found: dict[int, _Who]) -> None:
        """`mark and may`: beside one declared person, a declared name that is a word is one, too."""
        for at, word in enumerate(reading.words):
            who = self._table.people.get(word.key)
            if who is None or at in found:
                continue
            for step in (-1, 1):
                if at + 2 * step in found and reading.words[at + step].key in {"and", "or"}:
                    found[at] = who


_GENERIC: Final = frozenset(
    [
        "spa",
        "spas",
        "salon",
        "salons",
        "gym",
        "studio",
        "studios",
        "wellness",
        "beauty",
        "hair",
        "nail",
        "nails",
        "fitness",
        "yoga",
        "massage",
        "day",
        "center",
        "centre",
        "club",
        "bar",
        "lounge",
        "house",
        "room",
        "shop",
        "and",
        "the",
        "of",
        "med",
        "medical",
        "health",
        "body",
        "skin",
        "therapy",
        "clinic",
        "barber",
        "barbershop",
        "training",
        "pilates",
        "style",
        "styles",
        "care",
        "family",
        "new",
        "best",
    ]
)
"""Words of a business's name that say what it is, not which."""

_ABBREVIATIONS: Final = frozenset(
    ["vip", "sms", "am", "pm", "ok", "us", "uk", "tv", "dj", "id", "pt", "hr", "ceo", "pr", "roi"]
)


def _literal(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_]){re.escape(text)}(?![^\W_])", re.IGNORECASE)


def _run_at(reading: Reading, at: int, run: tuple[str, ...]) -> bool:
    found = reading.words[at : at + len(run)]
    if len(found) < len(run) or any(w.key != key for w, key in zip(found, run, strict=True)):
        return False
    return all(
        len(gap := reading.text[left.end : right.start]) <= 5 and "." not in gap  # noqa: PLR2004  # "'s & "
        for left, right in pairwise(found)
    )


def _spans(reading: Reading, found: dict[int, _Who], record: Record) -> Iterator[Span]:
    order = sorted(found)
    at = 0
    while at < len(order):
        first = last = order[at]
        who = found[first]
        while at + 1 < len(order) and order[at + 1] == last + 1 and found[order[at + 1]] is who:
            gap = reading.text[reading.words[last].end : reading.words[last + 1].start]
            if len(gap) > 5 or any(is_slot(char) for char in gap):  # noqa: PLR2004  # "'s & "
                break
            at += 1
            last = order[at]
        at += 1
        yield Span(
            reading.words[first].start,
            reading.words[last].end,
            who.kind,
            record.role(who.role, who.identity),
        )
