"""The rows of a CSV, JSONL or Excel file, one at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final

from keeper_grpc.importing.failure import Problem, Reason
from keeper_grpc.importing.files.header import (
    LOOKED_AT,
    CsvLayout,
    Header,
    find_header,
    find_layout,
    wanted_columns,
)
from keeper_grpc.importing.files.kind import PEEKED, Format, format_of, require_objects, size_of
from keeper_grpc.importing.files.lines import Line, Lines, Mark, opened, reading
from keeper_grpc.importing.files.records import Records
from keeper_grpc.importing.files.sheet import sheet_rows
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.mapping.numbers import Exact
from keeper_grpc.importing.mapping.values import Row

_CHUNK = 1 << 16
"""Bytes to digest at once."""


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One row: its number from 1 (without the header), and its cells or the reason why it has none."""

    number: int
    cells: Row
    unreadable: Reason | None
    mark: Mark


class Source:
    """A file to import. Raises ImportFailed when it cannot be read."""

    def __init__(self, file: Path, file_format: Format | None, mapping: Mapping) -> None:
        self.file = file
        self.format = file_format or format_of(file)
        self._mapping = mapping
        self._never = frozenset(mapping.never_read)
        self.size = size_of(file)

    def check(self) -> None:
        """Raise ImportFailed unless the file has every column that the mapping names.

        JSON lines may leave columns out: they are read until each has been seen, mostly in the first.
        """
        self._mapping.check(self._columns(), self.file)

    def starts_with(self, size: int, digest: str) -> bool:
        """Whether the file's first bytes, unpacked, are the ones of a mark."""
        found = hashlib.sha256()
        with opened(self.file) as stream, reading(self.file):
            while size and (chunk := stream.read(min(size, _CHUNK))):
                found.update(chunk)
                size -= len(chunk)
        return not size and found.hexdigest() == digest

    def rows(self) -> Iterator[ReadRow]:
        """Every row, in order. Columns that must never be read are not among the cells."""
        for number, (found, mark) in enumerate(self._found(), 1):
            if isinstance(found, Reason):
                yield ReadRow(number, {}, found, mark)
            else:
                allowed = {key: found[key] for key in found if key not in self._never}
                yield ReadRow(number, allowed, None, mark)

    @property
    def above_header(self) -> int:
        """Lines and records above the header."""
        match self.format:
            case "csv":
                return self._layout.skip_lines + self._layout.header.above
            case "xlsx":
                return self._sheet_header.above
            case "jsonl":
                return 0

    def _columns(self) -> Collection[str]:
        match self.format:
            case "csv":
                return [name for name in self._layout.header.names if name]
            case "xlsx":
                return [name for name in self._sheet_header.names if name]
            case "jsonl":
                return self._keys()

    def _keys(self) -> Collection[str]:
        wanted = wanted_columns(self._mapping)
        seen: set[str] = set()
        with opened(self.file) as stream:
            with reading(self.file):
                require_objects(self.file, stream.peek(PEEKED))
            for found in json_rows(Lines(stream, self.file, "utf-8")):
                if not isinstance(found, Reason):
                    # Only wanted columns are remembered: arbitrary keys would grow without bound.
                    seen |= found.keys() if not seen else found.keys() & wanted
                if wanted <= seen:
                    break
        return seen

    @cached_property
    def _layout(self) -> CsvLayout:
        with opened(self.file) as stream:
            lines = Lines(stream, self.file, self._mapping.csv.encoding)
            return find_layout(lines, self._mapping, self.file)

    @cached_property
    def _sheet_header(self) -> Header:
        first = [cells for cells, _ in islice(self._sheet_rows(), LOOKED_AT)]
        return find_header(first, wanted_columns(self._mapping), self._mapping, self.file)[1]

    def _sheet_rows(self) -> Iterator[tuple[list[str], float]]:
        return sheet_rows(self.file, self._mapping.xlsx.sheet)

    def _found(self) -> Iterator[tuple[Row | Reason, Mark]]:
        if self.format == "xlsx":
            yield from self._sheet()
            return
        with opened(self.file) as stream:
            csv = self.format == "csv"
            lines = Lines(stream, self.file, self._mapping.csv.encoding if csv else "utf-8")
            for found in self._csv(lines) if csv else json_rows(lines):
                yield found, lines.mark()

    def _csv(self, lines: Iterator[Line]) -> Iterator[Row | Reason]:
        layout = self._layout
        records = Records(islice(lines, layout.skip_lines, None), layout.delimiter)
        for record in islice(records, layout.header.above + 1, None):
            if isinstance(record, Reason):
                yield record
            elif any(cell.strip() for cell in record):  # else an empty line
                yield layout.header.row(record)

    def _sheet(self) -> Iterator[tuple[Row | Reason, Mark]]:
        # A workbook has no beginning that later rows leave as it is: it is the same file or another one.
        digest = hashlib.sha256()
        with opened(self.file) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        header = self._sheet_header
        for cells, share in islice(self._sheet_rows(), header.above + 1, None):
            if any(cells):
                yield header.row(cells), Mark(self.size, digest, int(self.size * share))


def json_rows(lines: Iterator[Line]) -> Iterator[Row | Reason]:
    """The rows of JSON lines."""
    for line in lines:
        if isinstance(line, Reason):
            yield line
            continue
        if not line.strip():
            continue
        try:
            # Numbers stay as they are written.
            found = json.loads(line, parse_int=Exact, parse_float=Exact)
            if "\\u" in line:  # half of a surrogate pair is no text
                json.dumps(found, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            yield Problem("NOT_JSON", "the line is not JSON").at("row")
            continue
        if not isinstance(found, dict):
            yield Problem("NOT_AN_OBJECT", "the line is not a JSON object").at("row")
            continue
        try:
            yield dict(_flat(found, "", _DEEPEST))
        except RecursionError:
            yield Problem("NOT_JSON", f"the line nests more than {_DEEPEST} objects").at("row")


_DEEPEST: Final = 32
"""Objects inside each other. Names grow with the depth, so that a line of a megabyte could fill memory."""


def _flat(group: dict[str, Any], prefix: str, deepest: int) -> Iterator[tuple[str, str]]:
    """Cells of a JSON object: what is nested gets a dotted name, a list stays JSON. Raises RecursionError."""
    if not deepest:
        raise RecursionError
    for key, value in group.items():
        match value:
            case dict():
                yield from _flat(value, f"{prefix}{key}.", deepest - 1)
            case None:
                yield prefix + key, ""
            case Exact():
                yield prefix + key, value
            case str():
                yield prefix + key, value.strip()
            case _:
                yield prefix + key, json.dumps(value)
