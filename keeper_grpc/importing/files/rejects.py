"""The report of rejected rows: JSON lines of row numbers and reasons, never of what a row holds.

It grows in a partial file beside its place, and takes its place when the import is through: until then an
earlier report is whole. An import that goes on continues the partial file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from keeper_grpc.importing.failure import ImportFailed, Reason

_FIRST = b'{"row": '
"""The beginning of each line of a report; a killed process may leave a partial last line."""


def partial_of(report: Path) -> Path:
    """The file in which a report grows."""
    return report.with_name(report.name + ".partial")


def is_report(path: Path) -> bool:
    """Whether a file is a report of rejected rows, or empty. Raises OSError."""
    with path.open("rb") as lines:
        # Before a line is read: another file may be one line of any length.
        if not _FIRST.startswith(lines.read(len(_FIRST))):
            return False
        lines.seek(0)
        for line in lines:
            if not line.endswith(b"\n"):
                return line.startswith(_FIRST) or _FIRST.startswith(line)
            if _row_of(line) is None:
                return False
    return True


class Rejects:
    """Writes the report; with no path, nothing. `keep` rows were reported by an earlier run."""

    def __init__(self, path: Path | None, keep: int) -> None:
        self._path = path
        self._keep = keep
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        if self._path is None:
            return self
        partial = partial_of(self._path)
        try:
            size = self._size_of_kept(partial)
            self._file = partial.open("a", encoding="utf-8")
            self._file.truncate(size)
        except OSError as error:
            raise ImportFailed(f"{partial}: {error.strerror}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._path is None or self._file is None:
            return
        with _written(self._path), self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        if kind is None:
            self._publish(self._path)

    def add(self, row: int, reasons: Iterable[Reason]) -> None:
        """Report a row."""
        if self._path is not None and self._file is not None:
            entry = {"row": row, "reasons": [reason.as_dict() for reason in reasons]}
            with _written(self._path):
                self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def flush(self) -> None:
        """Flush the report to disk, before the state records its rows as done."""
        if self._path is not None and self._file is not None:
            with _written(self._path):
                self._file.flush()

    def _publish(self, path: Path) -> None:
        partial = partial_of(path)
        try:
            # Imports take hours, in which another file may have come here.
            if path.exists() and not is_report(path):
                raise ImportFailed(f"{path}: another file came here; the report is {partial}")
            partial.replace(path)
        except OSError as error:
            raise ImportFailed(f"{path}: {error.strerror}; the report is {partial}") from None

    def _size_of_kept(self, path: Path) -> int:
        """Bytes of the report that belong to finished rows."""
        size = 0
        if not self._keep or not path.exists():
            return size
        with path.open("rb") as lines:
            for line in lines:
                row = _row_of(line)
                if row is None or row > self._keep:
                    break
                size += len(line)
        return size


@contextmanager
def _written(report: Path) -> Iterator[None]:
    """Raise ImportFailed when the disk takes no more of a report."""
    try:
        yield
    except OSError as error:
        raise ImportFailed(
            f"{partial_of(report)}: {error.strerror}; name another place with --rejects"
        ) from None


def _row_of(line: bytes) -> int | None:
    """The row that a whole line of a report is about, or None where it is no such line."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or entry.keys() != {"row", "reasons"}:
        return None
    row = entry["row"]
    return row if isinstance(row, int) else None
