"""Which columns a table has, and where its header stands.

Exports begin with titles, dates and empty lines, and end their lines with padding. The header is the record
that has the most columns of the mapping; without one it is the first record, and `Mapping.check` says what it
lacks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from keeper_grpc.importing.failure import ImportFailed, Problem, Reason
from keeper_grpc.importing.files.lines import Line
from keeper_grpc.importing.files.records import Record, Records
from keeper_grpc.importing.mapping.declared_values import find, folded
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.mapping.numbers import Exact
from keeper_grpc.importing.mapping.values import Row

LOOKED_AT: Final = 64
"""Records among which the header is searched: no export has so many titles."""

_MOST_COLUMNS: Final = 16_384
"""Columns of a table, as many as Excel knows."""

DELIMITERS: Final[tuple[str, ...]] = (",", ";", "\t", "|")
_SEP: Final = re.compile(r"\"?sep=(.)\"?\s*", re.IGNORECASE)
"""The first line of what Excel writes for itself."""

_TOTALS: Final = frozenset(
    (
        *(
            "total",
            "totals",
            "total:",
            "totals:",
            "grand total",
            "grand total:",
            "subtotal",
            "sub-total",
        ),
        *(
            "summe",
            "gesamt",
            "gesamtsumme",
            "totale",
            "totales",
            "totali",
            "totais",
            "totaux",
            "totaal",
            "total geral",
            "sum",
            "suma",
            "somme",
            "somma",
            "soma",
            "som",
            "summa",
            "yhteensä",
            "i alt",
            "totalt",
            "razem",
            "celkem",
            "összesen",
            "toplam",
            "итого",
            "всего",
            "σύνολο",
            "合計",
            "合计",
            "总计",
            "합계",
            "report total",
            "page total",
            "sheet total",
            "total g\u00e9n\u00e9ral",
            "total general",
        ),
    )
)
"""How lines begin that add up others."""


@dataclass(frozen=True, slots=True)
class Header:
    """The columns by position, without a name where nobody can mean one, and the records above them.

    A repeated column keeps its name at its first place only.
    """

    names: tuple[str, ...]
    above: int

    def row(self, cells: Sequence[str]) -> Row | Reason:
        """The record's cells by column. Cells beyond the header's must be empty, as padding is."""
        size = len(self.names)
        if any(cell.strip() for cell in cells[size:]) or any(self.names[len(cells) :]):
            message = f"{len(cells)} cells instead of {size}"
            return Problem("WRONG_CELL_COUNT", message).at("row")
        row = {
            name: cell if isinstance(cell, Exact) else cell.strip()
            for name, cell in zip(self.names, cells, strict=False)
            if name
        }
        if len(row) > 1 and all(folded(cell) == folded(name) for name, cell in row.items()):
            return Problem("REPEATED_HEADER", "the line repeats the header").at("row")
        if _adds_up(next((cell for cell in row.values() if cell), "")):
            return Problem("TOTALS_LINE", "the line adds up others").at("row")
        return row


def _adds_up(cell: str) -> bool:
    """Whether a line that begins so adds up others: `Total`, `Total: 12`, `Total (USD)`."""
    return re.split(r"\s*[:(]", folded(cell), maxsplit=1)[0] in _TOTALS


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """How a CSV file is laid out: lines to skip, the delimiter, and the header behind them."""

    skip_lines: int
    delimiter: str
    header: Header


def said_delimiter(lines: Sequence[Line]) -> str | None:
    """The delimiter that the first line names, if it is there for that: `sep=;`."""
    first = lines[0] if lines else ""
    said = _SEP.fullmatch(first) if isinstance(first, str) else None
    return said[1] if said else None


def find_layout(lines: Iterable[Line], mapping: Mapping, file: Path) -> CsvLayout:
    """The layout of a file with these lines. Raises ImportFailed."""
    settings = mapping.csv
    first = [*islice(lines, (settings.skip_lines or 0) + LOOKED_AT)]
    skip = settings.skip_lines or 0
    delimiters = DELIMITERS if settings.delimiter is None else (settings.delimiter,)
    said = said_delimiter(first)
    if said is not None:
        if settings.delimiter not in {None, said}:
            raise ImportFailed(
                f"{file}: its first line says that {said!r} parts the cells, and the mapping says "
                f"{settings.delimiter!r}; correct csv.delimiter, or leave it out"
            )
        skip, delimiters = max(skip, 1), (said,)
    wanted = wanted_columns(mapping)
    best: tuple[int, CsvLayout] | None = None
    for delimiter in delimiters:
        records = [*Records(iter(first[skip:]), delimiter)]
        matches, header = find_header(
            records[:1] if settings.skip_lines is not None else records, wanted, mapping, file
        )
        if best is None or matches > best[0]:
            best = matches, CsvLayout(skip, delimiter, header)
    assert best is not None  # noqa: S101 - there is a delimiter
    return best[1]


def find_header(
    records: Sequence[Record], wanted: AbstractSet[str], mapping: Mapping, file: Path
) -> tuple[int, Header]:
    """The header among the first records, and how many wanted columns it has. Raises ImportFailed."""
    rows = [
        (at, [find(cell.strip(), wanted) or cell.strip() for cell in cells])
        for at, cells in enumerate(records)
        if isinstance(cells, list) and any(cell.strip() for cell in cells)
    ]
    if not rows:
        unreadable = any(isinstance(record, Reason) for record in records)
        reason = "its first line is not readable as CSV" if unreadable else "it has no header line"
        raise ImportFailed(f"{file}: {reason}")
    widest = max(len(cells) for _, cells in rows)
    if widest > _MOST_COLUMNS:
        raise ImportFailed(
            f"{file}: it has {widest:,} columns; export those that the mapping uses, at most {_MOST_COLUMNS:,}"
        )
    at, names = max(rows, key=lambda row: (len(wanted & {*row[1]}), -row[0]))
    for name, times in Counter(names).items():
        if times > 1 and name in wanted:
            place = next(place for place, column in mapping.places() if column == name)
            if place != "never_read":
                raise ImportFailed(
                    f'{file}: {place} reads column "{name}", and {times} columns have that name; '
                    "rename the others"
                )
    first = {name: place for place, name in reversed([*enumerate(names)])}
    once = [name if first[name] == place else "" for place, name in enumerate(names)]
    return len(wanted & {*names}), Header(tuple(once), at)


def wanted_columns(mapping: Mapping) -> set[str]:
    """The columns that the mapping names."""
    return {column for _, column in mapping.places()}
