"""Dates and times as files write them: ISO 8601, strptime formats, Excel's days, seconds since 1970.

Python's own reading of ISO 8601 is too generous here: to it, the milliseconds `1741012812123` are a night of
the year 1741.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from keeper_grpc.importing.mapping.numbers import readings

YEARS: Final = range(2000, 2100)
"""What an outcome may be of. The service takes none of before, and what is beyond is another unit, or another calendar."""

_SERIALS: Final = {"excel": datetime(1899, 12, 30), "excel1904": datetime(1904, 1, 1)}  # noqa: DTZ001 - the zone follows
"""Day 0 of Excel's serial numbers, from March 1900 on, and of workbooks that count from 1904."""

_UNITS: Final = {"unix": 1.0, "unix_ms": 1e-3}
"""Seconds of what is counted since 1970."""

_EPOCH_BOUND: Final = 1e11
"""Seconds in the year 5138, milliseconds in the year 1973: what is above is no number of seconds."""

_DAY: Final = r"\d{4}-\d\d-\d\d"
_ISO: Final = re.compile(
    rf"(?:{_DAY}|\d{{8}}(?=T|$))(?:[T ]\d\d:?\d\d(?::?\d\d(?:[.,]\d+)?)?\s?(?:Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_MIDNIGHT: Final = re.compile(r"(?<=[Tt ])24(?=:?00(?::?00(?:[.,]0+)?)?(?:\s?(?:Z|[+-][\d:]+))?$)")
"""The end of a day. Python reads it from 3.13 on."""

_PLAIN: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII)
_ADVICE: Final = (
    (
        re.compile(r"\d{13}$", re.ASCII),
        "; where it is a number of milliseconds, write format: unix_ms",
    ),
    (re.compile(r"\d{10}$", re.ASCII), "; where it is a number of seconds, write format: unix"),
    (
        re.compile(r"\d{5}(?:[.,]\d+)?$", re.ASCII),
        "; where it is Excel's number of a day, write format: excel",
    ),
    (re.compile(r"\d{4}-\d\d-\d\d", re.ASCII), "; there is no such day or time"),
    (
        re.compile(r"\d{1,4}[/.\-]\d{1,2}[/.\-]\d{1,4}\b", re.ASCII),
        '; write the order of its parts, as in format: "%d/%m/%Y" or format: "%m/%d/%Y"',
    ),
)
"""What to write for cells that look like this; the first that fits."""

_MONTHS: Final = (
    "jan january januar janvier janv enero ene gennaio gen janeiro januari",
    "feb february februar fevrier fevr febrero febbraio fevereiro fev februari",
    "mar march marz mrz maerz mars marzo marco maart mrt",
    "apr april avril avr abril abr aprile",
    "may mai mayo maggio mag maio mei maj",
    "jun june juni juin junio giugno giu junho",
    "jul july juli juil juillet julio luglio lug julho",
    "aug august aout agosto ago augustus",
    "sep sept september septembre septiembre setiembre settembre set setembro",
    "oct october oktober okt octobre octubre ottobre ott outubro out",
    "nov november novembre noviembre novembro",
    "dec december dezember dez decembre diciembre dic dicembre dezembro",
)
_ENGLISH: Final = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]
_MONTH_OF: Final = {name: at for at, names in enumerate(_MONTHS) for name in names.split()}
_WORD: Final = re.compile(r"[^\W\d_]+\.?")
_HALF_DAY: Final = re.compile(r"\b([ap])\s?\.?\s?m\b\.?", re.IGNORECASE)
_UNACCENTED: Final = str.maketrans("äéèêûüôçñ", "aeeeuuocn")


def moment(cell: str, written: str) -> datetime:
    """The time in a cell, without a zone where it names none. Raises ValueError or OverflowError.

    `written` is `iso`, `unix`, `unix_ms`, `excel`, `excel1904` or a format of strptime. A plain ISO cell is read
    as such whatever the other rows are written like, but where the format puts the day behind the year.
    """
    if _PLAIN.fullmatch(cell) and not written.startswith("%Y-%d"):
        return _iso(cell)
    if (unit := _UNITS.get(written)) is not None:
        if "_" in cell:  # digits that Python groups so, and no export does
            raise ValueError
        count = float(cell) * unit
        if abs(count) > _EPOCH_BOUND:
            raise ValueError
        return datetime.fromtimestamp(count, UTC)
    if (first_day := _SERIALS.get(written)) is not None:
        return _of_days(first_day, cell)
    return _iso(cell) if written == "iso" else _by_format(cell, written)


def with_parts_exchanged(written: str) -> str | None:
    """The format with day and month the other way round, or None where their order cannot be mistaken."""
    if "%d" not in written or "%m" not in written:
        return None
    return written.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")


def advice(cell: str, written: str) -> str:
    """What to write into the mapping for a time that is written like this cell."""
    for known, said in _ADVICE:
        if known.match(cell):
            return said
    if written == "iso" and any(_month(word) is not None for word in _WORD.findall(cell)):
        return '; write its parts, as in format: "%d %b %Y %I:%M %p" (3 Mar 2026 2:05 PM)'
    return ""


def _iso(cell: str) -> datetime:
    if not _ISO.fullmatch(cell):
        raise ValueError
    plain = _MIDNIGHT.sub("00", cell)
    found = datetime.fromisoformat(re.sub(r"\s(?=[Z+-])", "", plain.upper()))
    return found if plain == cell else found + timedelta(days=1)


def _of_days(first_day: datetime, cell: str) -> datetime:
    found = readings(cell)
    if not found:
        raise ValueError
    # 45720,604 is a day of a decimal comma; a group of thousands is not written in them.
    days = float(cell.replace(",", "."))
    exact = first_day + timedelta(days=days)
    # Excel counts days in doubles: a minute is 0.000694, and 0.604 is 14:29:45.6.
    return exact.replace(microsecond=0) + timedelta(seconds=round(exact.microsecond / 1e6))


def _by_format(cell: str, written: str) -> datetime:
    try:
        return datetime.strptime(cell, written)  # noqa: DTZ007 - the zone follows
    except ValueError:
        return datetime.strptime(_in_english(cell, written), written.replace("%B", "%b"))  # noqa: DTZ007 - as above


def _in_english(cell: str, written: str) -> str:
    """The cell with the month and the half of the day as strptime knows them."""
    if "%p" in written:
        cell = _HALF_DAY.sub(lambda found: f"{found[1]}M", cell)
    if "%b" not in written and "%B" not in written:
        return cell
    dotted = re.search(r"%[bB]\.", written) is not None

    def english(found: re.Match[str]) -> str:
        month = _month(found[0])
        if month is None:
            return found[0]
        return _ENGLISH[month] + ("." if dotted and found[0].endswith(".") else "")

    return _WORD.sub(english, cell)


def _month(word: str) -> int | None:
    """The month, from 0, that a word means in English, French, German, Italian, Portuguese, Spanish or Dutch."""
    return _MONTH_OF.get(word.rstrip(".").casefold().translate(_UNACCENTED))
