"""How masked texts are shown: a mask needs its number only where there are several of its kind."""

from __future__ import annotations

import re
from typing import Final

_MASK: Final = re.compile(r"\[([a-z]+(?:_[a-z]+)*)_(\d+)\]")


def plainly(text: str) -> str:
    """`[employee_1]` as "[employee]", unless the text has an `[employee_2]` as well; `[business_name]` with a blank."""
    kinds: dict[str, set[str]] = {}
    for kind, number in _MASK.findall(text):
        kinds.setdefault(kind, set()).add(number)

    def shown(found: re.Match[str]) -> str:
        kind = found[1].replace("_", " ")
        return f"[{kind}]" if len(kinds[found[1]]) == 1 else f"[{kind} {found[2]}]"

    return _MASK.sub(shown, text)
