"""Square brackets mark what was masked, so what else stands in them does so in round ones.

Somebody who writes "[VIP] Ana" must not make a text in which `VIP] [customer]` reads as a mask, nor leave a bracket
without its partner behind when a name between them goes.
"""

from __future__ import annotations

import re
from typing import Final

_MASK: Final = re.compile(r"\[[a-z][a-z0-9_]*\]")
"""A mask, also of a text that was masked before and comes back."""


def rounded(text: str) -> str:
    """The text in which every square bracket that is not a mask's is a round one; one without a partner is a blank,
    or nothing beside one.
    """
    if "[" not in text and "]" not in text:
        return text
    chars = list(text)
    masks = [match.span() for match in _MASK.finditer(text)]
    kept = {place for start, end in masks for place in (start, end - 1)}
    opened: list[int] = []
    for place, char in enumerate(text):
        if place in kept or char not in "[]":
            continue
        chars[place] = ""
        if char == "[":
            opened.append(place)
        elif opened:
            chars[opened.pop()], chars[place] = "(", ")"
            continue
        before, after = text[place - 1 : place], text[place + 1 : place + 2]
        if before.isalnum() and after.isalnum():
            chars[place] = " "
    return "".join(chars)
