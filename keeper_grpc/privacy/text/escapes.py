"""Characters that software has written as codes: entities, JSON's and URLs' escapes, quoted-printable."""

from __future__ import annotations

import html
import re
from typing import Final

_DEEPEST: Final = 3
"""`&amp;#82;` and `%2554` are what software makes of a code that passed through it twice."""

_ENTITY: Final = re.compile(r"&(?:#\d{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};)")
_CODE_POINT: Final = re.compile(
    r"\\u\{([0-9a-fA-F]{1,6})\}|\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\x([0-9a-fA-F]{2})"
    r"|\bU\+([0-9a-fA-F]{4,6})\b"
)
_BYTES: Final = re.compile(
    r"(?:(?<=[^\W\d_])%[0-9a-fA-F]{2}|(?<!\d)%[0-9a-fA-F]{2}(?=%[0-9a-fA-F]{2}))(?:%[0-9a-fA-F]{2})*"
    r"|(?<!\d)%25(?=[0-9a-fA-F]{2})|(?:=[0-9A-F]{2}){2,}"
)
"""Bytes behind a letter or each other: `Tasha%20Greene`, `%54%61`, `=54=61`. Not `20%`, and not the discount that
some write as `%20`."""
_MAY_HOLD_BYTES: Final = re.compile(r"[%=][0-9a-fA-F]{2}")
"""Tried first, as it is fast: most texts with a percent sign hold a discount."""
_LARGEST_CODE_POINT: Final = 0x10FFFF


def decoded(text: str) -> str:
    """The text with the characters that its codes stand for; they may be of any kind."""
    for _ in range(_DEEPEST):
        before = text
        if "&" in text:
            text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
        if "\\" in text or "U+" in text:
            text = _CODE_POINT.sub(_character, text)
        if _MAY_HOLD_BYTES.search(text):
            text = _BYTES.sub(_characters, text)
        if text == before:
            break
    return text


def _character(match: re.Match[str]) -> str:
    code = int(match[match.lastindex or 0], 16)
    return chr(code) if code <= _LARGEST_CODE_POINT else " "


def _characters(match: re.Match[str]) -> str:
    written = bytes.fromhex(match[0].replace("%", "").replace("=", ""))
    try:
        return written.decode()
    except UnicodeDecodeError:
        return written.decode("latin-1")
