"""The rows of a CSV or JSONL file, one at a time."""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

from keeper_grpc.importing.failure import ImportFailed, Problem, Reason
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.mapping.values import Row

Format: TypeAlias = Literal["csv", "jsonl"]

MAX_LINE = 1 << 20
"""Maximum bytes of a line. The API takes conditions of 16 KiB, so a longer line is no valid row."""

_CHUNK = 1 << 16
"""Bytes to digest at once."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a file has been read: its first `size` bytes, which have this SHA-256."""

    size: int
    digest: Any


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
        self._format = file_format or _format_of(file)
        self._mapping = mapping
        self._never = frozenset(mapping.never_read)
        try:
            self.size = file.stat().st_size
        except OSError as error:
            raise ImportFailed(f"{file}: {error.strerror}") from None

    def check(self) -> None:
        """Raise ImportFailed unless the file has every column that the mapping names.

        JSON lines may leave columns out: they are read until each has been seen, mostly in the first.
        """
        self._mapping.check(self._columns(), self.file)

    def starts_with(self, size: int, digest: str) -> bool:
        """Whether the file's first bytes are the ones of a mark."""
        if size > self.size:
            return False
        found = hashlib.sha256()
        with self._open() as stream:
            while size and (chunk := stream.read(min(size, _CHUNK))):
                found.update(chunk)
                size -= len(chunk)
        return found.hexdigest() == digest

    def rows(self) -> Iterator[ReadRow]:
        """Every row, in order. Columns that must never be read are not among the cells."""
        with self._open() as stream:
            lines = _Lines(stream, self.file, self._encoding)
            cells = self._csv(lines) if self._format == "csv" else _json_lines(lines)
            for number, found in enumerate(cells, 1):
                if isinstance(found, Reason):
                    yield ReadRow(number, {}, found, lines.mark())
                else:
                    allowed = {key: found[key] for key in found if key not in self._never}
                    yield ReadRow(number, allowed, None, lines.mark())

    @property
    def _encoding(self) -> str:
        return self._mapping.csv.encoding if self._format == "csv" else "utf-8"

    def _open(self) -> BinaryIO:
        try:
            return self.file.open("rb")
        except OSError as error:
            raise ImportFailed(f"{self.file}: {error.strerror}") from None

    def _columns(self) -> Collection[str]:
        with self._open() as stream:
            lines = _Lines(stream, self.file, self._encoding)
            if self._format == "csv":
                return self._header(self._reader(lines))
            wanted = {column for _, column in self._mapping.places()}
            seen: set[str] = set()
            for found in _json_lines(lines):
                if not isinstance(found, Reason):
                    # Only wanted columns are remembered: arbitrary keys would grow without bound.
                    seen |= found.keys() if not seen else found.keys() & wanted
                if wanted <= seen:
                    break
            return seen

    def _reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self._mapping.csv.delimiter, strict=True)

    def _header(self, reader: Iterator[list[str]]) -> list[str]:
        try:
            header = [column.strip() for column in next(reader, [])]
        except csv.Error:
            raise ImportFailed(f"{self.file}: its first line is not readable as CSV") from None
        if not header:
            raise ImportFailed(f"{self.file}: it has no header line")
        if len(set(header)) < len(header):
            raise ImportFailed(f"{self.file}: two columns have the same name")
        return header

    def _csv(self, lines: Iterator[str]) -> Iterator[Row | Reason]:
        reader = self._reader(lines)
        header = self._header(reader)
        unreadable = Problem("NOT_CSV", "the line is not readable as CSV").at("row")
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield unreadable
                continue
            if not cells:  # an empty line
                continue
            if len(cells) == len(header):
                yield {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
            else:
                message = f"{len(cells)} cells instead of {len(header)}"
                yield Problem("WRONG_CELL_COUNT", message).at("row")


class _Lines(Iterator[str]):
    """The lines of a file, and how far they were read."""

    def __init__(self, stream: BinaryIO, file: Path, encoding: str) -> None:
        self._stream = stream
        self._file = file
        self._encoding = encoding
        self._number = 0
        self._size = 0
        self._digest = hashlib.sha256()

    def __next__(self) -> str:
        line = self._stream.readline(MAX_LINE + 1)
        if not line:
            raise StopIteration
        self._number += 1
        if len(line) > MAX_LINE:
            raise ImportFailed(f"{self._file}: line {self._number} is longer than {MAX_LINE} bytes")
        self._size += len(line)
        self._digest.update(line)
        if self._number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        try:
            return line.decode(self._encoding)
        except UnicodeDecodeError:
            raise ImportFailed(
                f"{self._file}: line {self._number} is not {self._encoding}"
            ) from None

    def mark(self) -> Mark:
        """How far the lines have been read."""
        return Mark(self._size, self._digest.copy())


def _json_lines(lines: Iterator[str]) -> Iterator[Row | Reason]:
    for line in lines:
        if not line.strip():
            continue
        try:
            # Numbers stay as they are written.
            found = json.loads(line, parse_int=str, parse_float=str)
        except ValueError:
            yield Problem("NOT_JSON", "the line is not JSON").at("row")
            continue
        if isinstance(found, dict):
            yield dict(_flat(found, ""))
        else:
            yield Problem("NOT_AN_OBJECT", "the line is not a JSON object").at("row")


def _flat(group: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    """Cells of a JSON object: what is nested gets a dotted name, a list stays JSON."""
    for key, value in group.items():
        match value:
            case dict():
                yield from _flat(value, f"{prefix}{key}.")
            case None:
                yield prefix + key, ""
            case str():
                yield prefix + key, value.strip()
            case _:
                yield prefix + key, json.dumps(value)


def _format_of(file: Path) -> Format:
    match file.suffix.lower():
        case ".csv":
            return "csv"
        case ".jsonl" | ".ndjson":
            return "jsonl"
        case _:
            raise ImportFailed(f"{file}: say what it is with --format csv or --format jsonl")
