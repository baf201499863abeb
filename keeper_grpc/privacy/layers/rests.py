"""Layer 7: what is left of an identifier of which the layers before have masked a part only.

Of `glowgirl92` the word is masked and the digits are left, of `8F3K-22LM-90QW` what passes for a name, of
`glow_by_tasha` the words. What was written as one goes as one: digits that are joined to a mask go with it, and all
that underscores join to one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from keeper_grpc.privacy.text.draft import FIRST_SLOT, LAST_SLOT, PASSED, Draft, Span, is_slot

_IDENTIFIES_NOBODY: Final = frozenset({PASSED, "amount", "date", "age"})
"""Kinds of slots: what may stay, and figures that were made coarse."""

_JOINED: Final = re.compile(rf"[\w{chr(FIRST_SLOT)}-{chr(LAST_SLOT)}#-]+")
"""Letters, digits and masks, and what joins them into one. A full stop ends a sentence more often than it joins, and a
stroke stands between alternatives.
"""
_JOINERS: Final = "#-_"


def mask_rests(draft: Draft) -> None:
    """Masks what is joined to a mask and has digits as `[code]`, a handle or a file's name as `[handle]`, together
    with the mask.
    """
    if not draft.text.isascii():
        draft.replace(list(_spans(draft)))


def _spans(draft: Draft) -> Iterator[Span]:
    for match in _JOINED.finditer(draft.text):
        joined = match[0].strip(_JOINERS)
        slots = {draft.record.kind(char) for char in joined if is_slot(char)}
        if not slots - _IDENTIFIES_NOBODY:
            continue
        start = match.start() + match[0].index(joined)
        if any(map(str.isdigit, joined)):
            yield Span(start, start + len(joined), "code", "[code]")
        elif "_" in joined:
            yield Span(start, start + len(joined), "handle", "[handle]")
