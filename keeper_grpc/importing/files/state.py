"""The progress of an unfinished import. Losing it costs time, never correctness.

The file holds counts and digests, no content of rows. It is used only with the same mapping, a file
that begins with the same bytes, and a server that has the last captured row (run.py checks).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keeper_grpc.importing.failure import ImportFailed
from keeper_grpc.importing.files.lines import Mark
from keeper_grpc.importing.files.rows import Source
from keeper_grpc.importing.tally import Tally

_VERSION = 1
"""Version of the file's layout; other versions are not read."""

_MAX_SIZE = 1 << 20
"""Maximum bytes: a state holds a few counts for each reason and rule, so a larger file is no state."""

_KEYS = frozenset({"version", "mapping", "bytes", "sha256", "rows", "probe", "tally"})
"""Keys that identify a state file of any version."""


def is_state(path: Path) -> bool:
    """Whether a file is the state of an import, or empty. Raises OSError."""
    size = path.stat().st_size
    if not size:
        return True
    if size > _MAX_SIZE:
        return False
    try:
        saved = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(saved, dict) and saved.keys() >= _KEYS


@dataclass(frozen=True, slots=True)
class Progress:
    """The first `rows` rows are done; `probe` is the last one among them that was captured."""

    rows: int
    probe: int
    tally: Tally


class StateFile:
    """Where the progress of one import is kept."""

    def __init__(self, path: Path, mapping: Path, source: Source) -> None:
        self._path = path
        self._mapping = hashlib.sha256(mapping.read_bytes()).hexdigest()
        self._source = source

    def load(self) -> Progress | None:
        """The progress of an earlier run, if it was with this mapping and this file."""
        try:
            saved: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            known = (saved["version"], saved["mapping"]) == (_VERSION, self._mapping)
            if not known or not saved["probe"]:
                return None
            if not self._source.starts_with(saved["bytes"], saved["sha256"]):
                return None
            return Progress(saved["rows"], saved["probe"], Tally.from_dict(saved["tally"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, progress: Progress, mark: Mark) -> None:
        """Save the progress atomically. Raises ImportFailed when it cannot be written."""
        content = {
            "version": _VERSION,
            "mapping": self._mapping,
            "bytes": mark.size,
            "sha256": mark.digest.hexdigest(),
            "rows": progress.rows,
            "probe": progress.probe,
            "tally": progress.tally.as_dict(),
        }
        try:
            _replace(self._path, json.dumps(content).encode())
        except OSError as error:
            raise ImportFailed(
                f"{self._path}: {error.strerror}; name another place with --state"
            ) from None

    def remove(self) -> None:
        """Remove the state of a finished import, so that the next run reads every row."""
        with contextlib.suppress(OSError):
            self._path.unlink()


def _replace(path: Path, content: bytes) -> None:
    """Replace a file atomically: write a temporary file in its directory and rename it."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
