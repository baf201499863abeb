"""The canonical form of account ids, and the refusal of ids that look like another one.

k counts accounts by their ids, so an account with several ids that look the same could reach k alone.
Therefore invisible and compatibility characters are refused, and texts that Unicode defines as equal become
one (NFC). Case stays significant. Letters of different scripts that look alike (Latin and Cyrillic) are not
recognized: ids come from a system of record, which does not mix them by accident.
"""

from __future__ import annotations

import unicodedata

MAX_LENGTH = 128
"""Characters of an account id, as sent and after normalization."""

_REFUSED = {
    "Cc": "a control character",
    "Cf": "a format character",
    "Cn": "a character that is not assigned",
    "Co": "a private-use character",
    "Cs": "a surrogate",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}
"""Refused general categories, and their names in the error. Characters that are unassigned or of private use
have no known shape and no known normalization."""

_INVISIBLE = frozenset(
    chr(code)
    for first, last in (
        # Default_Ignorable_Code_Point (Unicode 15.1, DerivedCoreProperties.txt), which is drawn as nothing,
        # without the categories above.
        (0x034F, 0x034F),  # combining grapheme joiner
        (0x115F, 0x1160),  # Hangul fillers
        (0x17B4, 0x17B5),  # Khmer inherent vowels
        (0x180B, 0x180F),  # Mongolian variation selectors and vowel separator
        (0x3164, 0x3164),  # Hangul filler
        (0xFE00, 0xFE0F),  # variation selectors
        (0xFFA0, 0xFFA0),  # halfwidth Hangul filler
        (0xE0100, 0xE01EF),  # variation selectors supplement
        # Visible by their category, but drawn as nothing.
        (0x2800, 0x2800),  # Braille pattern blank
        (0x16FE4, 0x16FE4),  # Khitan small script filler
        (0x1D159, 0x1D159),  # musical symbol null notehead
    )
    for code in range(first, last + 1)
)


_LETTERS = str.maketrans("", "", "\u0587\u0e33\u0eb3")
"""Letters of living languages that Unicode calls compatibility characters: Armenian ew, Thai and Lao am."""


class AccountIdUnfit(ValueError):
    """The text is no account id. The message states the broken rule, without the id."""


def canonical_account_id(text: str) -> str:
    """The id in NFC. Raises AccountIdUnfit for an id that looks like another one."""
    if not text.strip():
        raise AccountIdUnfit("must not be empty or blank")
    if text != text.strip():
        raise AccountIdUnfit("must not begin or end with a blank")
    # Before the length: normalization makes some texts longer.
    canonical = unicodedata.normalize("NFC", text)
    if len(canonical) > MAX_LENGTH:
        raise AccountIdUnfit(f"must be at most {MAX_LENGTH} characters long")
    if "  " in canonical:
        raise AccountIdUnfit("must not contain blanks next to each other")
    # Most ids are ASCII and need no further check, which costs time.
    if not (canonical.isascii() and canonical.isprintable()):
        _require_visible(canonical)
    return canonical


def _require_visible(canonical: str) -> None:
    for character in canonical:
        if found := _REFUSED.get(unicodedata.category(character)):
            raise AccountIdUnfit(f"must not contain {found}")
        if character in _INVISIBLE:
            raise AccountIdUnfit("must not contain an invisible character")
        if character.isspace() and character != " ":
            raise AccountIdUnfit("must not contain a blank other than U+0020")
    plain = canonical.translate(_LETTERS)
    if unicodedata.normalize("NFKC", plain) != plain:
        raise AccountIdUnfit(
            "must not contain a compatibility character, such as a ligature or a fullwidth letter: "
            "write it plainly (NFKC)"
        )
