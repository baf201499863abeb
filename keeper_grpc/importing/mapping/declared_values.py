"""Values that a mapping names, and the cells that mean them.

`completed`, `COMPLETED` and ` Completed ` are one answer to whoever wrote the mapping. A value that is
written exactly goes first, so that a mapping may tell `m` from `M`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from typing import Final

_YES: Final = frozenset(
    [
        "y",
        "yes",
        "yep",
        "yeah",
        "true",
        "t",
        "1",
        "x",
        "ok",
        "oui",
        "ja",
        "si",
        "sí",
        "sim",
        "sì",
        "vrai",
        "verdadeiro",
        "verdadero",
        "wahr",
        "da",
        "tak",
        "ano",
        "igen",
        "evet",
        "kyllä",
        "✓",
        "✔",
        "☑",
    ]
)
"""Yes, as programs and languages write it."""


def find(cell: str, values: Collection[str]) -> str | None:
    """The value that the cell means, or None. Case, blanks and the form of accents do not matter."""
    if cell in values:
        return cell
    wanted = folded(cell)
    found = [value for value in values if folded(value) == wanted]
    return found[0] if len(found) == 1 else None


def folded(text: str) -> str:
    """The form in which texts are compared."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def says_yes(cell: str) -> bool:
    """Whether the cell is a word for yes, whatever the mapping names."""
    return folded(cell) in _YES
