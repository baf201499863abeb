"""Numbers as people and programs write them: `$1,200.50`, `1.234,56 €`, `1 200,50`, `($85.50)`.

Which of point and comma is the decimal one often shows: `85,50` has no other reading. `1,200` has two, a
thousand times apart. What the other cells of the column show decides then, or the mapping, or nobody, and the
cell is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from keeper_grpc.importing.failure import Problem

DecimalMark: TypeAlias = Literal[".", ","]

MARKS: Final[tuple[DecimalMark, DecimalMark]] = (".", ",")

_CODES: Final = [
    "USD",
    "EUR",
    "GBP",
    "CAD",
    "AUD",
    "NZD",
    "CHF",
    "SEK",
    "NOK",
    "DKK",
    "PLN",
    "CZK",
    "HUF",
    "RON",
    "BRL",
    "MXN",
    "ARS",
    "CLP",
    "COP",
    "PEN",
    "ZAR",
    "INR",
    "JPY",
    "CNY",
    "HKD",
    "SGD",
    "KRW",
    "TWD",
    "THB",
    "VND",
    "PHP",
    "IDR",
    "MYR",
    "AED",
    "SAR",
    "ILS",
    "TRY",
    "US",
    "A",
    "C",
    "R",
    "NZ",
    "HK",
    "S",
    "MX",
    "kr",
    "zł",
    "Kč",
    "Ft",
    "lei",
    "Rs",
    "Fr",
    "SFr",
]
"""ISO 4217 codes of the markets that the product is sold in, and what is written for them (`US$`, `kr`)."""

_SYMBOLS: Final = "".join(
    chr(code) for code in range(0x20, 0xFFFF) if unicodedata.category(chr(code)) == "Sc"
)
_CODE: Final = rf"(?:{'|'.join(sorted(_CODES, key=len, reverse=True))})\.?"
_SYMBOL: Final = rf"[{re.escape(_SYMBOLS)}]"
_FRONT: Final = re.compile(rf"{_SYMBOL}|{_CODE}{_SYMBOL}?", re.IGNORECASE)
_BEHIND: Final = re.compile(rf"(?:{_SYMBOL}|(?<![^\W\d_]){_CODE})$", re.IGNORECASE)

_PLUS_MINUS: Final = ("-", "+")
_AROUND: Final = 4
"""What may stand around an amount: a sign and three times a currency."""

_BLANKS: Final = dict.fromkeys(map(ord, "\u00a0\u202f\u2009\u2007\u2002\u2003\t"), " ")
_SIGNS: Final = dict.fromkeys(map(ord, "\u2212\u2012\u2013\uff0d"), "-")
_APOSTROPHES: Final = {ord("\u2019"): "'"}
_TRANSLATED: Final = _BLANKS | _SIGNS | _APOSTROPHES

_GROUPED: Final = r"[1-9]\d{0,2}(?P<by>[%s '])\d{3}(?:(?P=by)\d{3})*"
"""Thousands: a group never begins with a zero, so `0.125` is none."""
_LAKHS: Final = r"[1-9]\d?(?:,\d\d)+,\d{3}"
"""Indian grouping: `12,34,567.50`."""

_READINGS: Final[Mapping[DecimalMark, re.Pattern[str]]] = {
    ".": re.compile(
        rf"(?P<whole>{_GROUPED % ','}|{_LAKHS}|\d+)?(?:\.(?P<part>\d*))?(?P<power>e[+-]?\d{{1,3}})?",
        re.IGNORECASE | re.ASCII,
    ),
    ",": re.compile(
        rf"(?P<whole>{_GROUPED % '.'}|\d+)?(?:,(?P<part>\d*))?(?P<power>(?!))?", re.ASCII
    ),
}


def readings(cell: str) -> dict[DecimalMark, float]:
    """What the cell says with each decimal mark; empty when it is no number."""
    sign, text, _ = _bare(cell)
    found: dict[DecimalMark, float] = {}
    for mark in MARKS:
        match = _READINGS[mark].fullmatch(text)
        if match is None or not (match["whole"] or match["part"]):
            continue
        whole = re.sub(r"\D", "", match["whole"] or "0")
        value = float(f"{whole}.{match['part'] or '0'}{match['power'] or ''}")
        if value != float("inf"):
            found[mark] = sign * value
    return found


def currencies(cell: str) -> frozenset[str]:
    """What an amount is written with: signs (`$`) and codes (`USD`), as written."""
    return _bare(cell)[2]


def number(cell: str, column: str | None, mark: DecimalMark | None) -> float:
    """The number in a cell, whose decimal mark is known or not. Raises Problem."""
    found = readings(cell)
    if mark is not None and mark in found:
        return found[mark]
    if not found or mark is not None:
        raise Problem("NOT_A_NUMBER", f'column "{column}" holds no number')
    if len(set(found.values())) > 1:
        raise Problem(
            "AMBIGUOUS_NUMBER",
            f'column "{column}" may be read as two numbers: write '
            f'{{column: {column}, decimal: "."}} or {{column: {column}, decimal: ","}}',
        )
    return next(iter(found.values()))


def _bare(cell: str) -> tuple[int, str, frozenset[str]]:
    """Sign, digits with their marks, and currencies: what stands around the digits is taken off."""
    text, signs, written = cell.translate(_TRANSLATED).strip(), "", set()
    if text.startswith("(") and text.endswith(")"):  # bookkeeping
        text, signs = text[1:-1].strip(), "-"
    # A sign and a currency stand on either side, in any order: `-$5`, `$-5`, `5- EUR`, `$5 USD`.
    for _ in range(_AROUND):
        if text[:1] in _PLUS_MINUS and text:
            signs, text = signs + text[0], text[1:].strip()
        elif text[-1:] in _PLUS_MINUS and text:
            signs, text = signs + text[-1], text[:-1].strip()
        else:
            text, symbols = _without_currency(text)
            written |= symbols
    # Two signs cancel out, or are a slip of the pen: no number.
    return (-1 if signs == "-" else 1), ("" if len(signs) > 1 else text), frozenset(written)


def _without_currency(text: str) -> tuple[str, set[str]]:
    """The text without the currency at its front, or else at its end."""
    front = _FRONT.match(text)
    if front is not None and front[0]:
        rest = text[front.end() :]
        if not rest[:1].isalpha():
            return rest.strip(), _parts(front[0])
    behind = _BEHIND.search(text)
    if behind is not None:
        return text[: behind.start()].strip(), _parts(behind[0])
    return text, set()


def _parts(symbols: str) -> set[str]:
    signs = {char for char in symbols if char in _SYMBOLS}
    return signs or {symbols.strip().upper().rstrip(".")}
