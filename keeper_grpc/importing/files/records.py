"""The records of a CSV file: a record is a line, or several where a quoted cell has line breaks."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from typing import Final, TypeAlias

from keeper_grpc.importing.failure import Problem, Reason
from keeper_grpc.importing.files.lines import Line

MOST_LINES: Final = 64
"""Lines of one record. A quotation mark that nobody closes would swallow the rest of the file."""

Record: TypeAlias = list[str] | Reason
"""Cells, none for an empty line; or the reason why the record cannot be read."""

_RETURN: Final = re.compile(r"(?<=\r)(?=[^\n])")
"""Behind a carriage return that ends a line, in a file whose other lines end otherwise. In a quoted cell it ends none: the
parts of a record are put together again.
"""

_NOT_CSV: Final = Problem("NOT_CSV", "the line is not readable as CSV").at("row")
_OPEN_QUOTE: Final = "unexpected end of data"
"""What the csv module says of a record that ends within quotes."""


_AS_TEXT: Final = re.compile(r'="([^"]*)"')
"""`="007"`: how exports keep spreadsheet programs from reading a text as a number."""


class Records(Iterator[Record]):
    """Reads records from lines. A malformed line costs itself: what follows it is read again."""

    def __init__(self, lines: Iterator[Line], delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._again: deque[Line] = deque()

    def __next__(self) -> Record:
        first = self._line()
        if first is None:
            raise StopIteration
        if isinstance(first, Reason):
            return first
        taken: list[Line] = []
        text = [first]
        while True:
            try:
                (cells,) = csv.reader(text, delimiter=self._delimiter, strict=True)
            except csv.Error as error:
                if str(error) != _OPEN_QUOTE or not self._goes_on(text, taken):
                    return self._given_up(taken)
            except ValueError:  # more than one record: a carriage return in a line
                return self._given_up(taken)
            else:
                return [*map(_unwrapped, cells)] if '="' in text[0] else cells

    def _goes_on(self, text: list[str], taken: list[Line]) -> bool:
        """Add lines up to one that may close the quotes."""
        while len(text) < MOST_LINES:
            line = self._line()
            if line is None:
                return False
            taken.append(line)
            if isinstance(line, Reason):
                return False
            text.append(line)
            if '"' in line:
                return True
        return False

    def _given_up(self, taken: list[Line]) -> Reason:
        self._again.extendleft(reversed(taken))
        return _NOT_CSV

    def _line(self) -> Line | None:
        if self._again:
            return self._again.popleft()
        line = next(self._lines, None)
        if isinstance(line, str) and "\r" in line and _RETURN.search(line):
            first, *others = _RETURN.split(line)
            self._again.extend(others)
            return first
        return line


def _unwrapped(cell: str) -> str:
    found = _AS_TEXT.fullmatch(cell.strip())
    return found[1] if found else cell
