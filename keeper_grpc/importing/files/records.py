"""The records of a CSV file: a record is a line, or several where a quoted cell has line breaks."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import Final, TypeAlias

from keeper_grpc.importing.failure import Problem, Reason
from keeper_grpc.importing.files.lines import Line

MOST_LINES: Final = 64
"""Lines of one record. A quotation mark that nobody closes would swallow the rest of the file."""

Record: TypeAlias = list[str] | Reason
"""Cells, none for an empty line; or the reason why the record cannot be read."""

_NOT_CSV: Final = Problem("NOT_CSV", "the line is not readable as CSV").at("row")
_OPEN_QUOTE: Final = "unexpected end of data"
"""What the csv module says of a record that ends within quotes."""


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
                return cells

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
        return self._again.popleft() if self._again else next(self._lines, None)
