"""A text while it is being masked, and the roles that stand for what was taken out of it.

Each removed span is replaced by one private-use character (a *slot*), so that no later layer can
take a replacement for text, match across it, or mask it twice. `Draft.finish` puts the replacements
in. Slots and roles belong to one record: the same person gets the same role in all its texts.
"""

from __future__ import annotations

import bisect
import operator
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from keeper_grpc.privacy.text.brackets import rounded
from keeper_grpc.privacy.text.escapes import decoded
from keeper_grpc.privacy.text.tokens import Word, fold, words

FIRST_SLOT = 0xF0000
"""Slots live in Supplementary Private Use Area-A, which no keyboard produces."""
LAST_SLOT = 0xFFFFD

FIRST_LETTER_SYMBOL = 0x1F100
LAST_LETTER_SYMBOL = 0x1F1FF
"""Enclosed letters and flag letters: a name can be spelled in them, and NFKC leaves some alone."""

_SLOTS: Final = re.compile(f"[{chr(FIRST_SLOT)}-{chr(LAST_SLOT)}]")

PASSED = "passed"
"""The kind of a slot that holds text which may stay: a placeholder or a protected phrase."""

PERSON_KINDS = frozenset({"customer_name", "employee_name", "person"})
"""The kinds of slots that stand for somebody."""

ALWAYS_NUMBERED = frozenset({"employee"})
"""Roles that carry a number even when there is one of them: a salon has several employees, and
`[employee_1]` must not turn into another word when a second one is mentioned."""


class OutOfTime(Exception):
    """The record used up its CPU budget; what is left of it is dropped."""


class TooManySpans(Exception):
    """The record has more spans to mask than there are slots."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a removed span was written: what its neighbours may be read by."""

    capitalized: bool
    words: int


@dataclass(slots=True)
class Record:
    """What the texts of one insight share while they are masked.

    budget: CPU seconds of this thread after which `check_time` raises. CPU time, because a busy machine must not make
        the anonymizer drop texts. Its clock is read by a system call, and the wall's is not: until half of the budget
        has passed on the wall, no more can have been used of the CPU, and the other half is counted from there.
    customer_role: how the customer is called: "customer" or "high_value_customer".
    scrub: masks what was declared with this record.
    unknown: folded words that the layer of unknown words masked in texts that were vouched for.
    """

    budget: float = float("inf")
    customer_role: str = "customer"
    scrub: Layer | None = None
    masked: Counter[str] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)
    roles: int = 0
    """How often a role was given: whose number depends on who was in the texts before."""
    _begun: float = field(default_factory=time.perf_counter)
    _deadline: float | None = None
    _replacements: list[str] = field(default_factory=list)
    _kinds: list[str] = field(default_factory=list)
    _shapes: list[Shape] = field(default_factory=list)
    _numbers: dict[str, dict[str, int]] = field(default_factory=dict)

    def check_time(self) -> None:
        """Raises OutOfTime when the budget is spent."""
        if time.perf_counter() - self._begun <= self.budget / 2:
            return
        spent = time.thread_time()
        if self._deadline is None:
            self._deadline = spent + self.budget / 2
        elif spent > self._deadline:
            raise OutOfTime

    def role(self, name: str, identity: str) -> str:
        """`[name]` for the first identity of this role, `[name_2]` for the second, and so on."""
        self.roles += 1
        known = self._numbers.setdefault(name, {})
        number = known.setdefault(identity, len(known) + 1)
        plain = number == 1 and name not in ALWAYS_NUMBERED
        return f"[{name}]" if plain else f"[{name}_{number}]"

    def slot(self, span: Span, shape: Shape) -> str:
        """The character that stands for a removed span; its kind is counted unless it is PASSED."""
        code = FIRST_SLOT + len(self._replacements)
        if code > LAST_SLOT:
            raise TooManySpans
        self._replacements.append(span.replacement)
        self._kinds.append(span.kind)
        self._shapes.append(shape)
        if span.kind != PASSED:
            self.masked[span.kind] += 1
        return chr(code)

    def replacement(self, slot: str) -> str:
        return self._replacements[ord(slot) - FIRST_SLOT]

    def kind(self, slot: str) -> str:
        return self._kinds[ord(slot) - FIRST_SLOT]

    def shape(self, slot: str) -> Shape:
        return self._shapes[ord(slot) - FIRST_SLOT]

    def finish(self, text: str) -> str:
        """The text with every slot filled in."""
        if text.isascii():
            return text
        return _SLOTS.sub(lambda slot: self.replacement(slot[0]), text)


@dataclass(slots=True)
class Span:
    """Half-open [start, end) of a draft's text, and what takes its place."""

    start: int
    end: int
    kind: str
    replacement: str


@dataclass(slots=True)
class Draft:
    """One text of a record on its way through the layers. `text` may hold slots.

    unknown: folded words of it that the layer of unknown words masked.
    hinted: what text/matching.py knows about the text; masking makes none of it wrong.
    """

    text: str
    record: Record
    hinted: frozenset[str] | None = None
    unknown: set[str] = field(default_factory=set)
    _words: list[Word] | None = None
    _keys: frozenset[str] | None = None

    def words(self) -> list[Word]:
        """The words of the text as it is now; the layers read the same list until one changes it."""
        if self._words is None:
            self._words = words(self.text)
        return self._words

    def keys(self) -> frozenset[str]:
        """The folded words that it had when it was first asked; masking only takes some away."""
        if self._keys is None:
            self._keys = frozenset([word.key for word in self.words()])
        return self._keys

    def replace(self, spans: Iterable[Span]) -> None:
        """Puts slots in the place of spans, which must be sorted and must not overlap."""
        parts: list[str] = []
        replaced: list[Span] = []
        at = 0
        for span in spans:
            removed = self.text[span.start : span.end]
            shape = Shape(removed[:1].isupper(), len(removed.split()))
            parts += (self.text[at : span.start], self.record.slot(span, shape))
            replaced.append(span)
            at = span.end
        if parts:
            parts.append(self.text[at:])
            self.text = "".join(parts)
            if self._words is not None:
                self._words = _moved(self._words, replaced)

    def respell(self, corrections: Mapping[int, str]) -> None:
        """Puts other spellings, each one word, in the place of words, by their place in `words()`."""
        parts: list[str] = []
        at = moved = 0
        for place, word in enumerate(self.words()):
            start, end = word.start, word.end
            word.start += moved
            if place in corrections:
                word.text = corrections[place]
                word.key = fold(word.text)
                parts += (self.text[at:start], word.text)
                at = end
                moved += len(word.text) - (end - start)
            word.end = end + moved
        self.text = "".join((*parts, self.text[at:]))
        self._keys = self.hinted = None

    def outline(self) -> str:
        """All by which the layers read it, less where its slots are in the record: drafts of different records with
        one outline are read alike.
        """
        record, text = self.record, self.text
        settled = [at for at, word in enumerate(self.words()) if word.settled]
        slots = [] if text.isascii() else _SLOTS.findall(text)
        if not settled and not slots:
            return text
        stand_for = [
            (record.kind(slot), record.replacement(slot), record.shape(slot)) for slot in slots
        ]
        return repr((_SLOTS.sub(chr(FIRST_SLOT), text), stand_for, settled))

    def finish(self) -> str:
        return self.record.finish(self.text)


_end: Final = operator.attrgetter("end")


def _moved(found: list[Word], replaced: list[Span]) -> list[Word] | None:
    """The words that the spans left, at their new places; None when a span cut one in two."""
    first = bisect.bisect_left(found, replaced[0].start, key=_end)
    left = found[:first]
    spans = iter(replaced)
    span: Span | None = next(spans)
    moved = 0
    for word in found[first:]:
        while span is not None and span.end <= word.start:
            moved += span.end - span.start - 1
            span = next(spans, None)
        if span is None or word.end <= span.start:
            word.start -= moved
            word.end -= moved
            left.append(word)
        elif word.start < span.start or word.end > span.end:
            return None
    return left


Layer = Callable[[Draft], None]
"""Masks what it knows in a draft. It may raise: the anonymizer then drops the text."""


def slots_in(text: str) -> Iterator[tuple[int, str]]:
    """The slots of a text and where they are."""
    if not text.isascii():
        for match in _SLOTS.finditer(text):
            yield match.start(), match[0]


def is_slot(char: str) -> bool:
    """Whether the character stands for a removed span."""
    return FIRST_SLOT <= ord(char) <= LAST_SLOT


_ROLE: Final = re.compile(r"\[[a-z0-9_]+\]")
_COARSE: Final = re.compile(r"\[(?:low|medium|high)_amount[a-z0-9_]*\]|\[age_[a-z0-9_]+\]")


def has_words_left(masked: str) -> bool:
    """Whether anything but roles is left of a text: `[person] [other]` says nothing, and is equal to
    every other text that says nothing. Amounts and ages made coarse say something.
    """
    if "[" not in masked:
        return True
    rest = _ROLE.sub(" ", _COARSE.sub("x", masked))
    return any(map(str.isalnum, rest)) or _ROLE.search(masked) is None


def normalize(text: str) -> str:
    """Escaped characters decoded, then NFKC without invisible ones: what a reader sees is what the layers see.

    Zero-width, soft-hyphen and bidirectional marks vanish, so that `Ja<ZWSP>ne` is `Jane`, and so do
    the keycaps around digits; digits of every script and in circles are plain ones; control,
    private-use and unassigned characters become spaces, so that no input can forge a slot. Square brackets are for masks
    (text/brackets.py).
    """
    text = decoded(text)
    if not text.isascii():
        text = "".join(map(_visible, unicodedata.normalize("NFKC", text)))
    elif not text.isprintable():
        text = "".join(map(_visible, text))
    return rounded(text)


_KEYCAP_TEN: Final = "\U0001f51f"


def _visible(char: str) -> str:
    if char == "\n" or (char.isascii() and char.isprintable()):
        return char
    category = unicodedata.category(char)
    if category in {"Cf", "Me"} or "\ufe00" <= char <= "\ufe0f":
        return ""
    if category[0] == "C" or FIRST_LETTER_SYMBOL <= ord(char) <= LAST_LETTER_SYMBOL:
        return " "
    if category == "Nd":
        return str(unicodedata.digit(char))
    if category == "No":
        return f"{unicodedata.numeric(char):g}"
    return "10" if char == _KEYCAP_TEN else char
