"""Layer 2: what the caller declared as identifying is scrubbed wherever it recurs.

Case, accents and possessives do not matter; a first name alone, a surname alone, initials, a
telephone number in any grouping, an address in part and small typos are found, in prose, in
placeholders and in labels. A name that is a word (Will, Rose) goes unless it is plainly that word
(text/plain_uses.py). What takes its place is a role.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from rapidfuzz.distance import DamerauLevenshtein

from keeper_grpc.domain.insight import Identifiers
from keeper_grpc.privacy.layers.declared_addresses import DeclaredAddresses
from keeper_grpc.privacy.layers.numbers import SPELLED
from keeper_grpc.privacy.layers.protected import PLACEHOLDER, settle
from keeper_grpc.privacy.text import cues
from keeper_grpc.privacy.text.draft import Draft, Record, Span, is_slot
from keeper_grpc.privacy.text.matching import hints_of
from keeper_grpc.privacy.text.phrases import Phrases
from keeper_grpc.privacy.text.plain_uses import is_function_word, plainly_a_word
from keeper_grpc.privacy.text.reading import Reading
from keeper_grpc.privacy.text.tokens import Word, keys
from keeper_grpc.privacy.text.vocabulary import Vocabulary
from keeper_grpc.privacy.text.word_lists import listed

SHORTEST_TYPO: Final = 4
"""Shorter names are one letter away from too many words."""
TWO_TYPOS_FROM: Final = 8
"""From this length two slips may still be the same name."""
LOCAL_DIGITS: Final = 7
"""A telephone number is recognized by its last seven digits: with or without country and area."""
ENDING_DIGITS: Final = 4
"""`the number ending in 0134`."""
MOST_DIGITS: Final = 15
"""Digits of the longest telephone number (E.164); a longer run holds something else as well."""
LONGEST_GAP: Final = 5
"""Characters between two words of a business: `'s & `."""

_EMPTY_WORDS: Final = frozenset(
    listed("the and of a an at in on by for n llc inc ltd co corp company")
)
_GENERIC: Final = frozenset(
    listed(
        "spa spas salon salons gym studio studios wellness beauty hair nail nails fitness yoga "
        "massage day center centre club bar lounge house room shop and the of med medical health "
        "body skin therapy clinic barber barbershop training pilates style styles care family new "
        "best"
    )
)
"""Words of a business's name that say what it is, not which."""
_ABBREVIATIONS: Final = frozenset(
    listed("vip sms am pm ok us uk tv dj id pt hr ceo pr roi no so to at as is it or an in on")
)
_TEMPLATE_WORDS: Final = frozenset(
    listed(
        "name first last full service services date time day offer discount staff stylist link "
        "phone number location visit visits favorite favourite product price amount"
    )
)
"""What ordinary placeholders are made of: `{first_name}` is no business called First."""

_DIGIT_RUN: Final = re.compile(r"[(+]{0,2}\d(?:[^\w\n]{0,3}\d)*")
_DIGITS: Final = re.compile(r"\d+")
_PIECES: Final = re.compile(r"\d+|[^\W\d_]+")
"""Words and figures of a business's name."""


@dataclass(frozen=True, slots=True)
class _Who:
    """One declared person or business. kind: as the report counts it. role: as the text says it."""

    kind: str
    role: str
    identity: str


@dataclass(slots=True)
class _Index:
    """The declared names of one record by folded word.

    people: each part of a person's name. joined: parts run together. initials: `jd`.
    phrases: runs of words of a business, by their first word. leading: the first telling word of one.
    wanted: all of these words. lengths: of people and joined, to look at few pairs of words.
    """

    people: dict[str, _Who] = field(default_factory=dict)
    joined: dict[str, _Who] = field(default_factory=dict)
    initials: dict[str, _Who] = field(default_factory=dict)
    leading: dict[str, _Who] = field(default_factory=dict)
    phrases: dict[str, list[tuple[tuple[str, ...], _Who]]] = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()
    lengths: frozenset[int] = frozenset()

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


def _longest_first(found: tuple[tuple[str, ...], _Who]) -> int:
    return -len(found[0])


def scrub_declared(draft: Draft) -> None:
    """The layer: what was declared with the draft's record."""
    if draft.record.scrub is None:
        raise NothingDeclared
    draft.record.scrub(draft)


class NothingDeclared(Exception):
    """The record came without its declared identifiers, not even an empty list of them."""


class DeclaredScrubber:
    """Scrubs one record's declared identifiers from its texts."""

    def __init__(
        self,
        identifiers: Identifiers,
        vocabulary: Vocabulary,
        record: Record,
        catalog: Phrases | None = None,
    ) -> None:
        self._vocabulary = vocabulary
        self._catalog = catalog
        self._index = _Index()
        self._literals: list[str] = []
        self._lettered: list[re.Pattern[str]] = []
        self._phones: list[str] = []
        self._numbers: set[str] = set()
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
        self._addresses = DeclaredAddresses(identifiers.addresses, vocabulary.known)
        self._index.close()

    def __call__(self, draft: Draft) -> None:
        if self._literals:
            draft.replace(self._emails(draft))
        if self._lettered:
            draft.replace(_whole_placeholders(draft.text, _apart(self._with_figures(draft))))
        if self._phones or self._numbers:
            for spelled in SPELLED:  # `(415) five five five 0142` whole, not its last four digits
                spelled.mask(draft)
            if "run" in hints_of(draft):
                draft.replace(self._numbered(draft.text))
        if self._addresses:
            draft.replace(self._addresses.spans(draft))
        if self._index.wanted:
            found = self._find(draft)
            if found:
                draft.replace(_whole_placeholders(draft.text, self._spans(draft, found)))

    def touches(self, text: str) -> bool:
        """Whether anything declared stands in `text`: for labels, which stay whole or go."""
        draft = Draft(text, Record(deadline=float("inf")))
        self(draft)
        return draft.text != text

    def names_business(self, text: str) -> bool:
        """Whether `text` says which business it is: two words of its name in a row, or a whole one.

        `barber` says what kind of business Barber is; `glow` and `soulcycle` say which.
        """
        draft = Draft(text, Record(deadline=float("inf")))
        if any(pattern.search(text) for pattern in self._lettered):
            return True
        words, found = draft.words(), self._find(draft) if self._index.wanted else {}
        return any(
            who.kind == "business_name"
            and (found.get(at + 1) is who or words[at].key == who.identity.replace(" ", ""))
            and who.identity not in _GENERIC
            for at, who in found.items()
        )

    def _add_person(self, name: str, kind: str, role: str) -> None:
        parts = keys(name)
        # A title in front is nobody's; a surname like Lord or Judge is.
        while len(parts) > 1 and self._is_title(parts[0]):
            parts = parts[1:]
        if not parts:
            return
        who = _Who(kind, role, " ".join(parts))
        index = self._index
        for part in parts:
            for spelling in _spellings(part):
                index.people.setdefault(spelling, who)
        if len(parts) > 1:
            index.joined["".join(parts)] = who
            index.joined["".join(reversed(parts))] = who
            for short in (parts[0][0] + parts[-1], parts[0] + parts[-1][0]):
                if short not in self._vocabulary.known:  # S. Pa is no spa
                    index.joined.setdefault(short, who)
            index.initials["".join(part[0] for part in parts)] = who
            index.initials[parts[0][0] + parts[-1][0]] = who

    def _is_title(self, key: str) -> bool:
        return key in cues.TITLES and key not in self._vocabulary.given_words

    def _add_business(self, name: str) -> None:
        # `Light & Salt` is also written `Light and Salt`, `Light n Salt` and `Light Salt`.
        spelled = keys(name.replace("&", " and ").replace("+", " and "))
        bare = [part for part in spelled if part not in {"and", "n"}]
        if any(map(str.isdigit, name)):
            self._add_figures(name)
        if not bare:
            return
        who = _Who("business_name", "business", " ".join(bare))
        index = self._index
        variants = [bare]
        if len(bare) < len(spelled):
            variants += [spelled, ["n" if part == "and" else part for part in spelled]]
        for run in dict.fromkeys(run for parts in variants for run in _telling_runs(parts)):
            self._index.phrases.setdefault(run[0], []).append((run, who))
        telling = [part for part in bare if part not in _EMPTY_WORDS]
        which = [part for part in telling if part not in _GENERIC]
        if len(bare) > 1:
            joined = {"".join(words) for words in (spelled, bare, telling)} - _GENERIC
            index.joined.update(dict.fromkeys(joined, who))
        if len(telling) == 1 and telling == which:
            index.phrases.setdefault(telling[0], []).append(((telling[0],), who))
        for part in which:
            if part not in self._vocabulary.known:
                index.phrases.setdefault(part, []).append(((part,), who))
        if len(telling) > 1 and telling[0] in which:
            index.leading.setdefault(telling[0], who)

    def _add_figures(self, name: str) -> None:
        """`Studio 54`, `24 Hour Gym`, `Room2`: the figures are part of the name, written together or apart."""
        pieces = _PIECES.findall(name.lower())
        pieces = pieces[1:] if pieces[0] == "the" and len(pieces) > 2 else pieces  # noqa: PLR2004  # The, and two more
        if len(pieces) > 1:
            between = r"[\W_]{0,3}".join(map(re.escape, pieces))
            self._lettered.append(re.compile(rf"(?<![^\W_]){between}(?!\d)", re.IGNORECASE))

    def _with_figures(self, draft: Draft) -> Iterator[Span]:
        for pattern in self._lettered:
            draft.record.check_time()
            for match in pattern.finditer(draft.text):
                role = draft.record.role("business", match.re.pattern)
                yield Span(*match.span(), "business_name", role)

    def _add_email(self, email: str) -> None:
        whole = email.strip().lower()
        if whole:
            self._literals.append(whole)
        local = whole.partition("@")[0]
        if len(local) >= SHORTEST_TYPO and local not in self._vocabulary.known:
            self._literals.append(local)

    def _add_phone(self, phone: str) -> None:
        digits = "".join(_DIGITS.findall(phone))
        if len(digits) >= LOCAL_DIGITS:
            self._phones.append(digits[-LOCAL_DIGITS:])
            self._numbers.add(digits[-ENDING_DIGITS:])
        elif len(digits) >= ENDING_DIGITS:
            self._numbers.add(digits)

    def _emails(self, draft: Draft) -> Iterator[Span]:
        lowered = draft.text.lower()
        if len(lowered) != len(draft.text):  # a few capitals have two small letters
            lowered = "".join(low if len(low := char.lower()) == 1 else char for char in draft.text)
        found: list[tuple[int, int]] = []
        for literal in self._literals:
            draft.record.check_time()
            start = lowered.find(literal)
            while start >= 0:
                end = start + len(literal)
                if (
                    not lowered[start - 1 : start].isalnum()
                    and not lowered[end : end + 1].isalnum()
                ):
                    found.append((start, end))
                start = lowered.find(literal, end)
        for start, end in _merged(found):
            yield Span(start, end, "email", "[email]")

    def _numbered(self, text: str) -> Iterator[Span]:
        for match in _DIGIT_RUN.finditer(text):
            start, end = match.span()
            digits = "".join(_DIGITS.findall(match[0]))
            if any(phone in digits for phone in self._phones):
                if len(digits) > MOST_DIGITS:
                    start, end = self._phone_in(match[0], start)
                yield Span(start, end, "phone", "[phone]")
            elif (
                digits in self._numbers
                and text[start - 1 : start] not in {".", ",", "$"}
                and text[end : end + 1] != "%"
            ):
                yield Span(start, end, "phone", "[phone]")

    def _phone_in(self, run: str, offset: int) -> tuple[int, int]:
        """Where in a long run of digits a declared number is, with what may stand before it."""
        places = [at for at, char in enumerate(run) if char.isdigit()]
        digits = "".join(run[at] for at in places)
        first = min(at for phone in self._phones if (at := digits.find(phone)) >= 0)
        last = max(at for phone in self._phones if (at := digits.rfind(phone)) >= 0)
        begin = max(first - (MOST_DIGITS - LOCAL_DIGITS), 0)
        return offset + places[begin], offset + places[last + LOCAL_DIGITS - 1] + 1

    def _find(self, draft: Draft) -> dict[int, _Who]:
        """Which words of the draft are whose name."""
        words, known = draft.words(), self._vocabulary.known
        hits = self._hits(draft)
        found: dict[int, _Who] = {}
        if not hits:
            return found
        reading = Reading.of(draft, self._vocabulary)
        if any(words[at].key in known for at in hits):
            settle(draft, self._vocabulary.services, self._vocabulary)
            if self._catalog:
                settle(draft, self._catalog, self._vocabulary)
        for step, at in enumerate(hits):
            if step % 64 == 0:
                draft.record.check_time()
            if at in found:
                continue
            who: _Who | None
            length, who = self._business_at(reading, at)
            if who is None:
                length, who = 1, self._person_at(reading, at)
            if who is None:
                length, who = 2, self._split_name(reading, at)
            if who is not None:
                found.update(dict.fromkeys(range(at, at + length), who))
        self._absorb_initials(reading, found)
        return found

    def _hits(self, draft: Draft) -> list[int]:
        """The words to look at: declared or unknown ones, and halves of declared ones."""
        words, wanted, lengths = draft.words(), self._index.wanted, self._index.lengths
        known, text = self._vocabulary.known, draft.text
        found = set[int]()
        if not (wanted.isdisjoint(draft.keys()) and known.issuperset(draft.keys())):
            found = {
                at for at, word in enumerate(words) if word.key in wanted or word.key not in known
            }
        for at, (word, following) in enumerate(pairwise(words)):
            if (
                len(word.key) + len(following.key) in lengths
                and following.start - word.end <= 1
                and word.key + following.key in wanted
                and not is_slot(text[word.end])
            ):
                found.add(at)
        return sorted(found)

    def _business_at(self, reading: Reading, at: int) -> tuple[int, _Who | None]:
        """How many words from here on are a business's, and whose."""
        word = reading.words[at]
        for run, who in self._index.phrases.get(word.key, ()):
            if self._run_at(reading, at, run):
                return len(run), who
        leading = self._index.leading.get(word.key)
        if leading is not None and self._leads(reading, at):
            return 1, leading
        if word.key.endswith("s"):  # `the Glows` without its apostrophe
            for run, who in self._index.phrases.get(word.key[:-1], ()):
                if len(run) == 1:
                    return 1, who
        return 0, None

    def _leads(self, reading: Reading, at: int) -> bool:
        """Whether the first word of a business's name stands for the whole: `from Glow`, `{glow}`."""
        word = reading.words[at]
        if word.settled:
            return False
        if word.capitalized and reading.cased and not reading.opens(at):
            return True
        if word.key in _TEMPLATE_WORDS:
            return False
        return _in_braces(reading.text, word)

    def _run_at(self, reading: Reading, at: int, run: tuple[str, ...]) -> bool:
        """Whether the words from `at` on are the run; all but the first may have a slip."""
        found = reading.words[at : at + len(run)]
        if len(found) < len(run):
            return False
        for near in range(1, len(run)):
            gap = reading.text[found[near - 1].end : found[near].start]
            if len(gap) > LONGEST_GAP or ("." in gap and gap != ".") or any(map(is_slot, gap)):
                return False
            key = found[near].key
            if key not in {run[near], run[near] + "s"} and not (
                len(key) >= SHORTEST_TYPO
                and key not in self._vocabulary.known
                and DamerauLevenshtein.distance(key, run[near], score_cutoff=1) <= 1
            ):
                return False
        return True

    def _person_at(self, reading: Reading, at: int) -> _Who | None:
        index, word = self._index, reading.words[at]
        key = word.key
        known = key in self._vocabulary.known
        who = index.people.get(key) or index.joined.get(key)
        if who is not None:
            if not known or self._beside_the_rest(reading, at, who):
                return who
            if is_function_word(key):
                return who if _stands_out(reading, at) else None
            return None if plainly_a_word(reading, at) else who
        if key.endswith("s"):  # `the Does`, `Janes card`: without its apostrophe, or all of them
            who = index.people.get(key[:-1])
            if who is not None and (not known or _is_plural_name(reading, at)):
                return who
        if word.shouted and key not in _ABBREVIATIONS:
            who = index.initials.get(key)
            if who is not None:
                return who
        return None if known else self._typo_of(key)

    def _split_name(self, reading: Reading, at: int) -> _Who | None:
        """`le blanc` for LeBlanc, `serenity spa` for SerenitySpa, `A Day` for Ann Day."""
        words = reading.words
        if at + 1 == len(words) or words[at + 1].start - words[at].end > 1:
            return None
        word = words[at]
        if word.key in {"a", "i"} and (not word.capitalized or reading.opens(at)):
            return None  # `a day pass`
        joined = word.key + words[at + 1].key
        return self._index.people.get(joined) or self._index.joined.get(joined)

    def _beside_the_rest(self, reading: Reading, at: int, who: _Who) -> bool:
        """Whether another part of the same name stands beside the word."""
        return any(
            0 <= near < len(reading.words)
            and reading.words[near].key != reading.words[at].key
            and self._index.people.get(reading.words[near].key) is who
            for near in (at - 1, at + 1)
        )

    def _typo_of(self, key: str) -> _Who | None:
        if len(key) < SHORTEST_TYPO:
            return None
        for name, who in self._index.people.items():
            if len(name) < SHORTEST_TYPO or abs(len(name) - len(key)) > 2:  # noqa: PLR2004  # two slips at most
                continue
            allowed = 2 if len(name) >= TWO_TYPOS_FROM else 1
            if DamerauLevenshtein.distance(name, key, score_cutoff=allowed) <= allowed:
                return who
        return None

    def _absorb_initials(self, reading: Reading, found: dict[int, _Who]) -> None:
        """`J. Doe`, `Jane D.`, `J.D.`: single letters that are the person's."""
        # A dict is a set that keeps the order of the text.
        letters = {at: None for at, word in enumerate(reading.words) if len(word.key) == 1}
        if not letters:
            return
        for at in letters:
            for near in (at - 1, at + 1):
                who = found.get(near)
                if who and reading.words[at].key in {part[0] for part in who.identity.split()}:
                    first, last = sorted((at, near))
                    gap = reading.text[reading.words[first].end : reading.words[last].start]
                    if len(gap) <= 2 and (reading.words[at].capitalized or not reading.cased):  # noqa: PLR2004  # ". "
                        found.setdefault(at, who)
        for at in letters:
            following = at + 1
            if at in found or following not in letters or following in found:
                continue
            pair = reading.words[at].key + reading.words[following].key
            gap = reading.text[reading.words[at].end : reading.words[following].start]
            who = self._index.initials.get(pair)
            if who and gap in {".", ". "}:
                found[at] = found[following] = who

    @staticmethod
    def _spans(draft: Draft, found: dict[int, _Who]) -> Iterator[Span]:
        words = draft.words()
        order = sorted(found)
        at = 0
        while at < len(order):
            first = last = order[at]
            who = found[first]
            while at + 1 < len(order) and order[at + 1] == last + 1 and found[order[at + 1]] is who:
                gap = draft.text[words[last].end : words[last + 1].start]
                if len(gap) > LONGEST_GAP or any(map(is_slot, gap)):
                    break
                at += 1
                last = order[at]
            at += 1
            yield Span(
                words[first].start,
                words[last].end,
                who.kind,
                draft.record.role(who.role, who.identity),
            )


def _telling_runs(parts: list[str]) -> Iterator[tuple[str, ...]]:
    """Every run of two words or more that says more than what kind of business it is.

    The whole name goes even if it says no more: `Nail Bar`, `The Body Shop`.
    """
    whole = len(parts) - 1 if parts[0] == "the" and len(parts) > 2 else len(parts)  # noqa: PLR2004  # The, and two more
    telling = [part not in _EMPTY_WORDS and part not in _GENERIC for part in parts]
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


def _stands_out(reading: Reading, at: int) -> bool:
    """Whether a word like `you` or `an` is written as a name: `call An`, `Mr. So`, `YOU's`."""
    word = reading.words[at]
    if at and reading.words[at - 1].key in cues.SHORT_TITLES:
        return True
    if word.clitic == "'s" and word.key not in cues.SUBJECTS:
        return True
    return word.capitalized and len(word.key) > 1 and reading.cased and not reading.opens(at)


def _is_plural_name(reading: Reading, at: int) -> bool:
    """`the Prices cancelled`, `the roses' bill`: not `the prices rose`."""
    word = reading.words[at]
    if word.settled:
        return False
    if reading.text[word.end : word.end + 1] in {"'", "\u2019"}:
        return True
    if word.capitalized and reading.cased and not reading.opens(at):
        return True
    if reading.after(at) in cues.HUMAN or reading.before(at) in cues.SHORT_TITLES:
        return True
    # `the roses always come together`: what a family does, with a word of time between.
    verb = at + 1
    while verb < len(reading.words) and reading.words[verb].key in _OFTEN:
        verb += 1
    return (
        reading.before(at) == "the"
        and verb < len(reading.words)
        and reading.words[verb].key in _OF_FAMILIES
    )


_OFTEN: Final = frozenset(listed("always never usually often still all both just never only"))
_OF_FAMILIES: Final = frozenset(
    listed(
        "come want book like love prefer need ask pay tip bring owe live moved cancel canceled cancelled "
        "rebook no-showed arrive arrived hate split share sit"
    )
)
"""What people do and things hardly: `the prices come down` is what this costs."""


def _apart(spans: Iterable[Span]) -> Iterator[Span]:
    """The spans in order, without those that overlap one before."""
    end = -1
    for span in sorted(spans, key=lambda span: span.start):
        if span.start >= end:
            yield span
            end = span.end


def _in_braces(text: str, word: Word) -> bool:
    """Whether the word stands inside a placeholder of any template language."""
    before = text[: word.start].rpartition(" ")[2]
    return any(char in before for char in "{<%[$") or before.endswith("_")


def _whole_placeholders(text: str, spans: Iterable[Span]) -> Iterator[Span]:
    """The spans, grown to the placeholders that they lie in: `{gold_room_offer}` goes whole."""
    if "{" not in text:
        yield from spans
        return
    holders = [match.span() for match in PLACEHOLDER.finditer(text)]
    last_end = -1
    for span in spans:
        for start, end in holders:
            if start <= span.start < end:
                span.start, span.end = start, max(end, span.end)
        if span.start >= last_end:
            yield span
            last_end = span.end


def _merged(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, overlaps joined."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
