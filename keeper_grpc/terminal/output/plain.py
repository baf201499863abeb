"""Other people's words, as one line that is safe to print.

Actions, scripts and messages come from outside. A terminal obeys control sequences wherever they
stand, so none may get there; what overrides the direction of writing could make one text look like
another.
"""

from __future__ import annotations

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Not printable by themselves, but parts of words in some languages and of many emoji."""


def plain(text: str) -> str:
    """The text on one line. What cannot be printed is replaced, not left out: it was there."""
    return "".join(
        character if character.isprintable() or character in _JOINERS else _REPLACEMENT
        for character in " ".join(text.split())
    )
