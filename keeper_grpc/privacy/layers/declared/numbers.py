"""Where declared e-mail addresses and telephone numbers stand in a text, in any grouping."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from keeper_grpc.privacy.layers.numbers import SPELLED
from keeper_grpc.privacy.text.draft import Draft, Span
from keeper_grpc.privacy.text.matching import hints_of
from keeper_grpc.privacy.text.vocabulary import Vocabulary

SHORTEST_LOCAL: Final = 4
"""Characters before the `@` by which an address is known without what follows it."""
LOCAL_DIGITS: Final = 7
"""A telephone number is recognized by its last seven digits: with or without country and area."""
ENDING_DIGITS: Final = 4
"""`the number ending in 0134`."""
MOST_DIGITS: Final = 15
"""Digits of the longest telephone number (E.164); a longer run holds something else as well."""

_DIGIT_RUN: Final = re.compile(r"[(+]{0,2}\d(?:[^\w\n]{0,3}\d)*")
_DIGITS: Final = re.compile(r"\d+")


class DeclaredNumbers:
    """Masks one record's e-mail addresses and telephone numbers."""

    def __init__(
        self, emails: Iterable[str], phones: Iterable[str], vocabulary: Vocabulary
    ) -> None:
        self._vocabulary = vocabulary
        self._literals: list[str] = []
        self._phones: list[str] = []
        self._numbers: set[str] = set()
        for email in emails:
            self._add_email(email)
        for phone in phones:
            self._add_phone(phone)

    def mask_emails(self, draft: Draft) -> None:
        """Replace addresses, and what stands before their `@`."""
        if self._literals:
            draft.replace(self._emails(draft))

    def mask_phones(self, draft: Draft) -> None:
        """Replace numbers, also in words and by their last digits."""
        if self._phones or self._numbers:
            for spelled in SPELLED:  # `(415) five five five 0142` whole, not its last four digits
                spelled.mask(draft)
            if "run" in hints_of(draft):
                draft.replace(self._numbered(draft.text))

    def _add_email(self, email: str) -> None:
        whole = email.strip().lower()
        if whole:
            self._literals.append(whole)
        local = whole.partition("@")[0]
        if len(local) >= SHORTEST_LOCAL and local not in self._vocabulary.known:
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


def _merged(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, overlaps joined."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
