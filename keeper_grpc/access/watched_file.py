"""What files say, read again when they change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

import structlog

from keeper_grpc.operator_error import OperatorError

log = structlog.get_logger()

Content = TypeVar("Content")

_Mark: TypeAlias = tuple[tuple[int, int, int] | None, ...]


class WatchedFile(Generic[Content]):
    """The content of one file, or of several that belong together.

    A new version that is no good leaves the former one in use, and is logged once. `read` raises an OperatorError for
    such a version; so does the constructor, for the first. `version` counts the versions that were taken.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[], Content]) -> None:
        self._paths = tuple(paths)
        self._read = read
        self._lock = threading.Lock()
        # Before the content: a change in between is found at the next look.
        self._mark = self._seen()
        self.current = read()
        self.version = 0

    def look(self, *, anyway: bool = False) -> bool:
        """Read again where the files have changed, or `anyway`; whether there is a new version.

        A few microseconds where nothing has changed. Threads may call it.
        """
        with self._lock:
            mark = self._seen()
            if mark == self._mark and not anyway:
                return False
            self._mark = mark
            try:
                self.current = self._read()
            except OperatorError as error:
                log.error("new_file_refused", reason=str(error), in_use="the former one")  # noqa: TRY400 - as the command prints it
                return False
            self.version += 1
        log.info("file_read_again", files=[str(path) for path in self._paths])
        return True

    def _seen(self) -> _Mark:
        return tuple(_mark(path) for path in self._paths)


def _mark(path: Path) -> tuple[int, int, int] | None:
    """Differs between versions, also where a symbolic link is turned, as Kubernetes does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def read_file(path: Path, variable: str, limit: int = 1_000_000) -> bytes:
    """The bytes of a file that a setting names. Raises FileUnusable, also beyond `limit` bytes."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise FileUnusable(f"{variable}: cannot read {path}: {error.strerror}") from None
    if len(content) > limit:
        raise FileUnusable(f"{variable}: {path} is larger than {limit} bytes")
    return content


class FileUnusable(OperatorError):
    """A file of the settings cannot be read or does not hold what it should. Never quotes its content."""
