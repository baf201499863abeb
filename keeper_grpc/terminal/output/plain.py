"""Makes text from outside safe to print on one line.

Actions, scripts and messages come from outside. A terminal obeys control sequences in any output, and
bidirectional overrides can make one text look like another; both are replaced.
"""

from __future__ import annotations

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Joiners: not printable, but part of words in some languages and of many emoji."""


def plain(text: str) -> str:
    """The text on one line. Unprintable characters are replaced, so that their presence shows."""
    return "".join(
        character if character.isprintable() or character in _JOINERS else _REPLACEMENT
        for character in " ".join(text.split())
    )
