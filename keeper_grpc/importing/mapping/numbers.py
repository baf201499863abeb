"""Numbers as people and programs write them: `$1,200.50`, `1.234,56 €`, `1 200,50`, `($85.50)`.

Which of point and comma is the decimal one often shows: `85,50` has no other reading. `1,200` has two, a
thousand times apart. What the other cells of the column show decides then, or the mapping, or nobody, and the
cell is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self, TypeAlias

from keeper_grpc.importing.failure import Problem

DecimalMark: TypeAlias = Literal[".", ","]


class Exact(str):
    """A number that a program wrote, with a point: a cell of a workbook, a number of JSON. Has one reading.

    `currency` is the one that a workbook shows it with; empty for none.
    """

    __slots__ = ("currency",)

    currency: str

    def __new__(cls, value: object, currency: str = "") -> Self:
        """Of whatever has a text."""
        made = super().__new__(cls, value)
        made.currency = currency
        return made


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
    "R",
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

_SYMBOL: Final = (
    "[$\u00a3-\u00a5\u058f\u060b\u07fe\u07ff\u09f2\u09f3\u09fb\u0af1\u0bf9\u0e3f\u17db\u20a0-\u20cf"
    "\ua838\ufdfc\ufe69\uff04\uffe1\uffe5\uffe6]"
)
"""Every currency sign of Unicode's first plane, and what its block of them still has room for. But for the cent: `50\u00a2`
is half a dollar.
"""
_CODE: Final = rf"(?:{'|'.join(sorted(_CODES, key=len, reverse=True))})\.?"
_DOLLARS: Final = {
    "US": "USD",
    "C": "CAD",
    "CA": "CAD",
    "A": "AUD",
    "AU": "AUD",
    "NZ": "NZD",
    "HK": "HKD",
    "S": "SGD",
    "MX": "MXN",
    "R": "BRL",
}
"""The currency of a dollar sign with letters in front. Without the sign they are none: `5c` are cents, `ca. 5` is about 5."""
_DOLLAR: Final = rf"(?:{'|'.join(sorted(_DOLLARS, key=len, reverse=True))})\.?\$"
_FRONT: Final = re.compile(rf"{_SYMBOL}|{_DOLLAR}|{_CODE}{_SYMBOL}?", re.IGNORECASE)
_BEHIND: Final = re.compile(
    rf"(?:(?<![^\W\d_]){_DOLLAR}|{_SYMBOL}|(?<![^\W\d_]){_CODE})$", re.IGNORECASE
)

_PLUS_MINUS: Final = ("-", "+")
_MINUS_BEHIND: Final = "-"
"""A plus behind a number is no sign of it: `50+` is 50 or more."""
_AROUND: Final = 4
"""What may stand around an amount: a sign and three times a currency."""

_AS_ASCII: Final = (
    {0xFFE1: "\u00a3", 0xFFE5: "\u00a5", ord("\t"): " "}
    | dict.fromkeys(map(ord, "\u2212\u2010\u2011\u2012\u2013\u2014\uff0d"), "-")
    | dict.fromkeys(map(ord, "\u2019\u02bc\u00b4\u066c"), "'")  # the last groups Arabic digits
    | {0x066B: "."}  # the Arabic decimal mark
)
"""Signs that Unicode's properties do not lead to ASCII."""

_WIDE: Final = range(0xFF01, 0xFF5F)
"""The wide forms of ASCII."""


class _Ascii(dict[int, str | None]):
    """Each character of a number as ASCII has it, found when it is first met; for `str.translate`.

    Superscripts stay: `85` with raised cents is no number.
    """

    def __missing__(self, code: int) -> str | None:
        found = self[code] = _as_ascii(chr(code))
        return found


def _as_ascii(char: str) -> str | None:
    if ord(char) in _AS_ASCII:
        return _AS_ASCII[ord(char)]
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    match unicodedata.category(char):
        case "Cf":  # marks of writing direction and of byte order are invisible
            return None
        case "Zs":
            return " "
        case _:
            return chr(ord(char) - 0xFEE0) if ord(char) in _WIDE else char


_TRANSLATED: Final = _Ascii()

_LONGEST: Final = 128
"""Characters of the longest number that anybody writes, with blanks and currencies."""

Percent: TypeAlias = Literal["share", "points"]
"""What `20%` is: 0.2, or 20."""

_PERCENT: Final = re.compile(r"(?<!\d)%|%(?!\d)")
"""A percent sign in front of the digits or behind them."""

_NO_CENTS: Final = re.compile(r"(?<=\d)(?:([.,])-{1,2}|/-)(?!\d)")
"""`85.-`, `85,--` and `85/-`: the dash says that there are no cents. It is no minus."""

_NOTHING: Final = frozenset(
    (
        *(
            "-",
            "--",
            "n/a",
            "na",
            "n.a.",
            "nan",
            "null",
            "none",
            "nil",
            "unknown",
            "?",
            "tbd",
            "#n/a",
        ),
    )
)
"""What is written where there is no number. A dash may also mean zero, so the mapping says it."""

_CURES: Final = (
    (
        re.compile(r"\d\s*(?:k|m|mn|mio|bn|tsd)\.?\W*$", re.IGNORECASE),
        "; write shortened numbers out",
    ),
    (re.compile(r"^[\u00a2\uffe0]|\d\s*(?:[\u00a2\uffe0]|c)$"), "; write cents as 0.50"),
    (
        re.compile(rf"^(?:{_SYMBOL}|{_CODE})?\s*-+\s*(?:{_SYMBOL}|{_CODE})?$", re.IGNORECASE),
        "; a dash beside a currency may mean zero or unknown: list it under missing, or write 0 into the file",
    ),
)
"""What to write for texts that look like this; the first that fits."""

_SAME: Final = {
    "\u20ac": "EUR",
    "\u00a3": "GBP",
    "\u20b9": "INR",
    "RS": "INR",
    "FR": "CHF",
    "SFR": "CHF",
    "Z\u0141": "PLN",
    "K\u010c": "CZK",
    "FT": "HUF",
    "LEI": "RON",
}
"""Signs and abbreviations of one currency."""

_SHARED: Final = {
    "$": frozenset(
        ["USD", "CAD", "AUD", "NZD", "HKD", "SGD", "MXN", "ARS", "CLP", "COP", "BRL", "TWD"]
    ),
    "\u00a5": frozenset(("JPY", "CNY")),
    "KR": frozenset(("SEK", "NOK", "DKK")),
}
"""Signs that any of these currencies may be written with."""

_GROUPED: Final = r"[1-9]\d{0,2}(?P<by>[%s '])\d{3}(?:(?P=by)\d{3})*"
"""Thousands: a group never begins with a zero, so `0.125` is none."""
_PADDED: Final = re.compile(r"^0+(?=\d)")
_LAKHS: Final = r"[1-9]\d?(?:,\d\d)+,\d{3}"
"""Indian grouping: `12,34,567.50`."""

_READINGS: Final[Mapping[DecimalMark, re.Pattern[str]]] = {
    ".": re.compile(
        rf"(?P<whole>{_GROUPED % ','}|{_LAKHS}|\d+)?(?:\.(?P<part>\d*))?(?P<power>e[+-]?\d{{1,3}})?",
        re.IGNORECASE | re.ASCII,
    ),
    ",": re.compile(
        rf"(?P<whole>{_GROUPED % '.'}|\d+)?(?:,(?P<part>\d*))?(?P<power>e[+-]?\d{{1,3}})?",
        re.IGNORECASE | re.ASCII,
    ),
}


@dataclass(frozen=True, slots=True)
class Written:
    """How a cell is written: what it says with each decimal mark, none where it is no number; the mark that it shows, if it
    has one reading; and its currencies.
    """

    readings: Mapping[DecimalMark, float]
    mark: DecimalMark | None
    currencies: frozenset[str]


_UNWRITTEN: Final = Written({}, None, frozenset())


def written(cell: str) -> Written:
    """How a cell is written."""
    if len(cell) > _LONGEST:
        return _UNWRITTEN
    sign, text, known = _bare(cell)
    # `01,200` is padded: it may be 1,200 as well as 1.2.
    text = _PADDED.sub("", text)
    found: dict[DecimalMark, float] = {}
    for mark in MARKS:
        match = _READINGS[mark].fullmatch(text)
        if match is None or not (match["whole"] or match["part"]):
            continue
        whole, part = re.sub(r"\D", "", match["whole"] or "0"), match["part"] or "0"
        value = float(f"{whole}.{part}{match['power'] or ''}")
        # Beyond what a float holds it would become infinite, or a zero.
        if value != float("inf") and (value or not (whole + part).strip("0")):
            found[mark] = sign * value
    # A mark with nothing behind it shows none: `5,` may as well be a slip.
    single = len(found) == 1 and text[-1:] not in MARKS and not isinstance(cell, Exact)
    if isinstance(cell, Exact) and cell.currency:
        known = frozenset((cell.currency,))
    return Written(found, next(iter(found)) if single else None, known)


def readings(cell: str) -> Mapping[DecimalMark, float]:
    """What the cell says with each decimal mark; empty when it is no number."""
    return written(cell).readings


def currencies(cell: str) -> frozenset[str]:
    """The currencies of an amount: codes (`USD`), or signs that several share (`$`)."""
    return written(cell).currencies


def distinct(several: Iterable[str]) -> set[str]:
    """These currencies, less the signs that one of the others may be written with."""
    found = set(several)
    return {one for one in found if not _SHARED.get(one, frozenset()) & found}


def without_percent(cell: str) -> str | None:
    """The cell without its percent sign; None where it has none, or several."""
    if len(cell) > _LONGEST:
        return None
    bare, signs = _PERCENT.subn("", cell.translate(_TRANSLATED))
    return bare.strip() if signs == 1 else None


def percentage(cell: str, column: str | None, mark: DecimalMark | None, percent: Percent) -> float:
    """The number in a cell of percentages. Raises Problem.

    Without a sign, `20` may mean 20% or 2,000%. A program's own number is a share: a workbook keeps 0.2 and shows 20%.
    """
    bare = without_percent(cell)
    if bare is not None:
        # Divided, not multiplied by 0.01: 7% is the float that 0.07 is.
        return number(bare, column, mark) / (100 if percent == "share" else 1)
    value = number(cell, column, mark)
    if value and not (isinstance(cell, Exact) and percent == "share"):
        raise Problem(
            "NOT_A_PERCENTAGE",
            f'column "{column}" has a number without a percent sign; leave percent out of the mapping if no cell '
            "has one, else write the sign into the file",
        )
    return value


def number(cell: str, column: str | None, mark: DecimalMark | None) -> float:
    """The number in a cell, whose decimal mark is known or not. Raises Problem."""
    found = readings(cell)
    mark = "." if isinstance(cell, Exact) else mark
    if mark is not None and mark in found:
        return found[mark]
    if not found or mark is not None:
        raise Problem(
            "NOT_A_NUMBER", f'column "{column}" holds no number{_advice(cell, column, mark)}'
        )
    if len(set(found.values())) > 1:
        raise Problem(
            "AMBIGUOUS_NUMBER",
            f'column "{column}" may be read as two numbers: write '
            f'{{column: {column}, decimal: "."}} or {{column: {column}, decimal: ","}}',
        )
    return next(iter(found.values()))


def _advice(cell: str, column: str | None, mark: DecimalMark | None) -> str:
    """What to write for a cell like this one. Only words of the lists above are repeated."""
    if len(cell) > _LONGEST:
        return ""
    text = cell.translate(_TRANSLATED).strip().casefold()
    if text in _NOTHING:
        return f'; where "{text}" means unknown, write {{column: {column}, missing: ["{text}"]}}'
    if mark is not None and readings(cell):
        return (
            f"; its decimal mark is not {mark!r}, which the mapping or the column's other cells say"
        )
    if without_percent(cell) is not None:
        return (
            f"; 20% may mean 0.2 or 20: write {{column: {column}, percent: share}} or "
            f"{{column: {column}, percent: points}}"
        )
    return next((said for known, said in _CURES if known.search(text)), "")


def _bare(cell: str) -> tuple[int, str, frozenset[str]]:
    """Sign, digits with their marks, and currencies: what stands around the digits is taken off."""
    text, signs, written = cell.translate(_TRANSLATED).strip(), "", set()
    text = _NO_CENTS.sub(lambda found: f"{found[1]}00" if found[1] else "", text)
    # A sign and a currency stand on either side, in any order: `-$5`, `$-5`, `5- EUR`, `$5 USD`.
    for _ in range(_AROUND):
        if text.startswith("(") and text.endswith(")"):  # bookkeeping
            text, signs = text[1:-1].strip(), signs + "-"
        elif text[:1] in _PLUS_MINUS and text:
            signs, text = signs + text[0], text[1:].strip()
        elif text[-1:] == _MINUS_BEHIND:
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
    letters = "".join(char for char in symbols if char.isalpha()).upper()
    sign = next((char for char in symbols if re.match(_SYMBOL, char)), "")
    if sign == "$" and letters:
        return {_DOLLARS.get(letters, letters)}
    written = letters or sign
    return {_SAME.get(written, written)}
