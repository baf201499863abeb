"""The report of rejected rows: JSON lines of row numbers and reasons, never of what a row holds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from keeper_grpc.importing.failure import ImportFailed, Reason


class Rejects:
    """Writes the report; with no path, nothing. `keep` rows were reported by an earlier run."""

    def __init__(self, path: Path | None, keep: int) -> None:
        self._path = path
        self._keep = keep
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        if self._path is None:
            return self
        try:
            size = self._size_of_kept(self._path)
            self._file = self._path.open("a", encoding="utf-8")
            self._file.truncate(size)
        except OSError as error:
            raise ImportFailed(f"{self._path}: {error.strerror}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, row: int, reasons: Iterable[Reason]) -> None:
        """Report a row."""
        if self._file is not None:
            entry = {"row": row, "reasons": [reason.as_dict() for reason in reasons]}
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def flush(self) -> None:
        """Have what was reported on disk before the state says that its rows are done."""
        if self._file is not None:
            self._file.flush()

    def _size_of_kept(self, path: Path) -> int:
        """Bytes of the report whose rows will not be seen again."""
        size = 0
        if not self._keep or not path.exists():
            return size
        with path.open("rb") as lines:
            for line in lines:
                try:
                    row = json.loads(line)["row"]
                except (ValueError, KeyError, TypeError):
                    break
                if row > self._keep:
                    break
                size += len(line)
        return size
