"""Layer 2: what the caller declared as identifying is scrubbed wherever it recurs.

Case, accents and possessives do not matter; a first name alone, a surname alone, initials, a
telephone number in any grouping, an address in part and small typos are found, in prose, in
placeholders and in labels. A name that is a word (Will, Rose) goes unless it is plainly that word
(text/plain_uses.py). What takes its place is a role.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from keeper_grpc.domain.insight import Identifiers
from keeper_grpc.privacy.layers.declared.addresses import DeclaredAddresses
from keeper_grpc.privacy.layers.declared.figures import NamesWithFigures
from keeper_grpc.privacy.layers.declared.index import GENERIC, NameIndex, Who
from keeper_grpc.privacy.layers.declared.names import LONGEST_GAP, DeclaredNames
from keeper_grpc.privacy.layers.declared.numbers import DeclaredNumbers
from keeper_grpc.privacy.layers.protected import PLACEHOLDER
from keeper_grpc.privacy.text.draft import Draft, Record, Span, is_slot
from keeper_grpc.privacy.text.phrases import Phrases
from keeper_grpc.privacy.text.vocabulary import Vocabulary


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
        index = NameIndex(vocabulary)
        for name in identifiers.customer_names:
            index.add_person(name, "customer_name", record.customer_role)
        for name in identifiers.employee_names:
            index.add_person(name, "employee_name", "employee")
        for name in identifiers.business_names:
            index.add_business(name)
        index.close()
        self._names = DeclaredNames(index, catalog)
        self._figures = NamesWithFigures(identifiers.business_names)
        self._numbers = DeclaredNumbers(
            identifiers.customer_emails, identifiers.customer_phones, vocabulary
        )
        self._addresses = DeclaredAddresses(identifiers.addresses, vocabulary.known)

    def __call__(self, draft: Draft) -> None:
        self._numbers.mask_emails(draft)
        if self._figures:
            draft.replace(_whole_placeholders(draft.text, self._figures.spans(draft)))
        self._numbers.mask_phones(draft)
        if self._addresses:
            draft.replace(self._addresses.spans(draft))
        if self._names:
            found = self._names.find(draft)
            if found:
                draft.replace(_whole_placeholders(draft.text, self._spans(draft, found)))

    def touches(self, text: str) -> bool:
        """Whether anything declared stands in `text`: for labels, which stay whole or go."""
        draft = Draft(text, Record())
        self(draft)
        return draft.text != text

    def names_business(self, text: str) -> bool:
        """Whether `text` says which business it is: two words of its name in a row, or a whole one.

        `barber` says what kind of business Barber is; `glow` and `soulcycle` say which.
        """
        draft = Draft(text, Record())
        if self._figures.stand_in(text):
            return True
        words, found = draft.words(), self._names.find(draft) if self._names else {}
        return any(
            who.kind == "business_name"
            and (found.get(at + 1) is who or words[at].key == who.identity.replace(" ", ""))
            and who.identity not in GENERIC
            for at, who in found.items()
        )

    @staticmethod
    def _spans(draft: Draft, found: dict[int, Who]) -> Iterator[Span]:
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
