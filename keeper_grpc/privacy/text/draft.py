"""A text while it is being masked, and the roles that stand for what was taken out of it.

Each removed span is replaced by one private-use character (a *slot*), so that no later layer can
take a replacement for text, match across it, or mask it twice. `Draft.finish` puts the replacements
in. Slots and roles belong to one record: the same person gets the same role in all its texts.
"""

from __future__ import annotations

import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from keeper_grpc.privacy.text.tokens import Word, words

FIRST_SLOT = 0xF0000
"""Slots live in Supplementary Private Use Area-A, which no keyboard produces."""
LAST_SLOT = 0xFFFFD

FIRST_LETTER_SYMBOL = 0x1F100
LAST_LETTER_SYMBOL = 0x1F1FF
"""Enclosed letters and flag letters: a name can be spelled in them, and NFKC leaves some alone."""

PASSED = "passed"
"""The kind of a slot that holds text which may stay: a placeholder or a protected phrase."""

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

    deadline: CPU seconds of this thread (`time.thread_time`) after which `check_time` raises. CPU
        time, because a busy machine must not make the anonymizer drop texts.
    customer_role: how the customer is called: "customer" or "high_value_customer".
    scrub: masks what was declared with this record.
    unknown: folded words that the vocabulary layer masked in texts that were vouched for.
    """

    deadline: float
    customer_role: str = "customer"
    scrub: Layer | None = None
    masked: Counter[str] = field(default_factory=Counter)
    unknown: set[str] = field(default_factory=set)
    _replacements: list[str] = field(default_factory=list)
    _kinds: list[str] = field(default_factory=list)
    _shapes: list[Shape] = field(default_factory=list)
    _numbers: dict[str, dict[str, int]] = field(default_factory=dict)

    def check_time(self) -> None:
        """Raises OutOfTime when the budget is spent."""
        if time.thread_time() > self.deadline:
            raise OutOfTime

    def role(self, name: str, identity: str) -> str:
        """`[name]` for the first identity of this role, `[name_2]` for the second, and so on."""
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
        return "".join(self.replacement(char) if is_slot(char) else char for char in text)


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

    unknown: folded words of it that the vocabulary layer masked.
    """

    text: str
    record: Record
    unknown: set[str] = field(default_factory=set)
    _words_of: str | None = None
    _words: list[Word] = field(default_factory=list)

    def words(self) -> list[Word]:
        """The words of the text as it is now; the layers read the same list until one changes it."""
        if self._words_of is not self.text:
            self._words_of, self._words = self.text, words(self.text)
        return self._words

    def replace(self, spans: Iterable[Span]) -> None:
        """Puts slots in the place of spans, which must be sorted and must not overlap."""
        parts: list[str] = []
        at = 0
        for span in spans:
            removed = self.text[span.start : span.end]
            shape = Shape(removed[:1].isupper(), len(removed.split()))
            parts += (self.text[at : span.start], self.record.slot(span, shape))
            at = span.end
        if parts:
            parts.append(self.text[at:])
            self.text = "".join(parts)

    def finish(self) -> str:
        return self.record.finish(self.text)


Layer = Callable[[Draft], None]
"""Masks what it knows in a draft. It may raise: the anonymizer then drops the text."""


def is_slot(char: str) -> bool:
    """Whether the character stands for a removed span."""
    return FIRST_SLOT <= ord(char) <= LAST_SLOT


def normalize(text: str) -> str:
    """NFKC without invisible characters: what a reader sees is what the layers see.

    Zero-width, soft-hyphen and bidirectional marks vanish, so that `Ja<ZWSP>ne` is `Jane`; control,
    private-use and unassigned characters become spaces, so that no input can forge a slot.
    """
    if text.isascii():
        return text if text.isprintable() else "".join(map(_visible, text))
    return "".join(map(_visible, unicodedata.normalize("NFKC", text)))


def _visible(char: str) -> str:
    if char == "\n":
        return char
    category = unicodedata.category(char)
    if category == "Cf":
        return ""
    if category[0] == "C" or FIRST_LETTER_SYMBOL <= ord(char) <= LAST_LETTER_SYMBOL:
        return " "
    if category == "Nd":
        return str(unicodedata.digit(char))
    return char
