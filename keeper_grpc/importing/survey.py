"""What the whole file shows before anything is sent: how its numbers are written, and what its answers say.

A cell alone may be read in two ways (`1,200`), and a misspelt answer reads as no. Both would be stored
without a word, so the file is read once before: the same file gives the same result in every run.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import lru_cache

from keeper_grpc.importing.build import skipped
from keeper_grpc.importing.failure import ImportFailed, Problem
from keeper_grpc.importing.files.rows import Source
from keeper_grpc.importing.mapping import dates
from keeper_grpc.importing.mapping.declared_values import folded
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.mapping.numbers import DecimalMark, Exact, currencies, distinct, readings
from keeper_grpc.importing.mapping.values import Row, When, YesNo

_BREATH = 256
"""Rows after which control returns to the event loop, so that signals arrive."""

_MOST_VALUES = 1000
"""Distinct values of a column that are told apart; beyond, it is a column of free text."""


@dataclass(slots=True)
class Answers:
    """How often a test says yes and no. `others` are the values that mean no because nothing names them.

    `unnamed` counts rows that say neither, or say yes in a word that the mapping lacks.
    """

    yes: int = 0
    no: int = 0
    unnamed: int = 0
    others: set[int] = field(default_factory=set)

    def add(self, test: YesNo, row: Row) -> None:
        """Count a row; one without an answer is counted when it is captured."""
        try:
            answer = test.value(row)
        except Problem:
            self.unnamed += 1
            return
        if answer:
            self.yes += 1
        elif answer is not None:
            self.no += 1
            if test.fails is None and test.at_least is None and len(self.others) < _MOST_VALUES:
                self.others.add(hash(folded(test.cell(row))))


@dataclass(slots=True)
class _Column:
    """What the cells of a number column show."""

    marks: set[DecimalMark] = field(default_factory=set)
    currencies: set[str] = field(default_factory=set)

    def add(self, cell: str) -> None:
        """Note how a cell is written."""
        found = readings(cell) if cell else {}
        if len(found) == 1 and not isinstance(cell, Exact):
            self.marks |= found.keys()
        if found:
            written = currencies(cell)
            # A sign and a code of one cell are one currency: `$5 USD`.
            self.currencies |= distinct(written)


class _DayOrder:
    """Whether day and month stand in the order that the format of `occurred_time` says.

    `03/04` has two readings. Cells such as `03/25` have one, and tell which one the column's others have.
    """

    def __init__(self, when: When | None) -> None:
        self._when = when
        self._exchanged = dates.with_parts_exchanged(when.format) if when is not None else None
        self._as_said = 0
        self._otherwise = 0

    def add(self, row: Row) -> None:
        """Count a row whose time has one reading only."""
        if self._when is None or self._exchanged is None:
            return
        cell = self._when.cell(row)
        said = _is_time(cell, self._when.format)
        if said != _is_time(cell, self._exchanged):
            self._as_said += said
            self._otherwise += not said

    def require(self) -> None:
        """Raise ImportFailed where more cells have the other order than the one that the format says."""
        if self._when is not None and self._otherwise > self._as_said:
            raise ImportFailed(
                f'occurred_time: column "{self._when.column}" has day and month the other way round; write '
                f'format: "{self._exchanged}"'
            )


class _NamedCurrencies:
    """The currencies that columns of the file name beside its amounts, whether the mapping reads these columns or not."""

    def __init__(self, mapping: Mapping) -> None:
        self._place = next(mapping.money_places(), None)
        self._found: dict[str, set[str]] = {}

    def add(self, row: Row) -> None:
        """Note the currencies of a row."""
        if self._place is None:
            return
        for name in filter(_names_currency, row):
            found, cell = self._found.setdefault(name, set()), row[name].strip()
            if cell and len(found) < _MOST_CURRENCIES:
                found |= currencies(f"1 {cell}") or {folded(cell)}

    def require_one(self) -> None:
        """Raise ImportFailed where the amounts are of several currencies."""
        for name, found in self._found.items():
            if len(distinct(found)) > 1:
                raise ImportFailed(
                    f'{self._place}: column "{name}" names several currencies; import one at a time, with skip for '
                    "the others, or list the column under never_read if it says nothing about the amounts"
                )


_CURRENCY_WORDS = frozenset(
    [
        "currency",
        "currencies",
        "ccy",
        "devise",
        "monnaie",
        "währung",
        "moneda",
        "moeda",
        "valuta",
        "divisa",
    ]
)
"""What exports call the column, or a word of it."""

_MOST_CURRENCIES = 16
"""Texts that are told apart: two are too many already."""


@lru_cache(maxsize=4096)  # columns repeat in each row
def _names_currency(name: str) -> bool:
    return not _CURRENCY_WORDS.isdisjoint(re.findall(r"[^\W_]+", folded(name)))


@lru_cache(maxsize=4096)  # days repeat, and strptime is slow
def _is_time(cell: str, written: str) -> bool:
    try:
        dates.moment(cell, written)
    except (ValueError, OverflowError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Survey:
    """The mapping, with the decimal marks that the file shows, and the answers of `outcome.success`."""

    mapping: Mapping
    answers: Answers


async def survey(mapping: Mapping, source: Source) -> Survey:
    """Read the file. Raises ImportFailed when what it would store is plainly not meant."""
    places = {column: place for place, column in mapping.number_columns()}
    columns = {name: _Column() for name in places}
    answers, counted, order = Answers(), mapping.outcome.success, _DayOrder(mapping.occurred_time)
    named = _NamedCurrencies(mapping)
    async for row in _rows(mapping, source):
        if not counted.reads_numbers:
            answers.add(counted, row)
        order.add(row)
        named.add(row)
        for name, shown in columns.items():
            shown.add(row.get(name, ""))
    order.require()
    _require_one_currency(columns, places)
    named.require_one()
    marks = {name: next(iter(c.marks)) for name, c in columns.items() if len(c.marks) == 1}
    read = mapping.with_decimals(marks)
    if counted.reads_numbers:  # whether 1,5 is at least 4 depends on its decimal mark
        async for row in _rows(read, source):
            answers.add(read.outcome.success, row)
    elif not answers.yes and (answers.others or answers.unnamed):
        raise ImportFailed(
            f'outcome.success: no row has a value of column "{counted.column}" that means yes; correct '
            "equals or in, or list under fails what means no"
        )
    return Survey(read, answers)


def _require_one_currency(columns: dict[str, _Column], places: dict[str, str]) -> None:
    """Raise ImportFailed where a column adds up dollars and euros."""
    for name, shown in columns.items():
        if len(distinct(shown.currencies)) > 1:
            raise ImportFailed(
                f'{places[name]}: column "{name}" has amounts in several currencies; import one at a '
                "time, with skip for the others"
            )


async def _rows(mapping: Mapping, source: Source) -> AsyncIterator[Row]:
    for row in source.rows():
        if row.number % _BREATH == 0:
            await asyncio.sleep(0)
        if row.unreadable is None and not skipped(mapping, row.cells):
            yield row.cells
