"""The lines of a text file: packed or not, in its encoding, and how far they were read."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from keeper_grpc.importing.failure import ImportFailed, Problem, Reason
from keeper_grpc.importing.files.kind import PEEKED, require_text, size_of

MAX_LINE: Final = 1 << 20
"""Maximum bytes of a line. The API takes conditions of 16 KiB, so a longer line is no valid row."""

_ENDLESS: Final = 64 << 20
"""Bytes after which a line that does not end is no line: the file is no text, or was cut out of one."""

_PLAUSIBLE: Final = 250
"""How many times its packed size a history is at most. gzip could reach a thousand."""
_SMALL: Final = 16 << 20
"""Unpacked bytes below which that does not matter."""

_GZIP: Final = b"\x1f\x8b"
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_NULS: Final = Problem("NOT_TEXT", "the line holds NUL characters, as no text does").at("row")
_TOO_LONG: Final = Problem("TOO_LONG", f"the line is longer than {MAX_LINE} bytes").at("row")

Line: TypeAlias = str | Reason
"""A line with its end, or the reason why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a file has been read.

    Its first `size` bytes, unpacked, have this SHA-256. `place` is where that is in the file as it is
    stored.
    """

    size: int
    digest: Any
    place: int


@contextmanager
def opened(file: Path) -> Iterator[BufferedReader]:
    """The file's bytes, unpacked where gzip packed them. Raises ImportFailed."""
    size_of(file)
    try:
        stored = file.open("rb")
    except OSError as error:
        raise ImportFailed(f"{file}: {error.strerror}") from None
    with stored:
        if stored.peek(len(_GZIP)).startswith(_GZIP):
            # A GzipFile reads and peeks as a BufferedReader does.
            with gzip.GzipFile(fileobj=stored) as unpacked:
                yield cast(BufferedReader, unpacked)
        else:
            yield stored


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Raise ImportFailed where a packed file turns out to be damaged, or the disk to be."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ImportFailed(f"{file}: the packed file is damaged or cut off") from None
    except OSError as error:
        raise ImportFailed(f"{file}: {error.strerror}") from None


def encoding_of(start: bytes, declared: str | None) -> str:
    """The encoding of a file that begins with these bytes: its byte order mark's, then the declared one."""
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    if declared not in {None, "utf-16"}:
        return declared or ""
    # UTF-16 without a mark: the high bytes of ASCII are zero.
    even, odd = start[0:64:2], start[1:64:2]
    if odd and odd.count(0) > len(odd) // 2:
        return "utf-16-le"
    if even and even.count(0) > len(even) // 2:
        return "utf-16-be"
    return "utf-16-le" if declared else "utf-8"


class Lines(Iterator[Line]):
    """The lines of a stream. Where no encoding is declared, the first line that is not UTF-8 ends it.

    A line that another encoding would read otherwise must not be dropped or guessed: the operator names it.
    """

    def __init__(self, stream: BufferedReader, file: Path, declared: str | None) -> None:
        self._stream = stream
        self._file = file
        self._declared = declared
        self._number = 0
        # Whether it is settled that the declared encoding is the file's.
        self._shown = declared not in {"cp1252", "latin-1"}
        self._size = 0
        self._digest = hashlib.sha256()
        with reading(file):
            self._encoding = encoding_of(stream.peek(PEEKED), declared)
            start = stream.peek(PEEKED)
        require_text(file, start)
        self._ended = _ENDED.get(self._encoding, _ends_narrow)
        # Old Macs and some programs on new ones end lines with a carriage return only.
        self._returns = self._encoding not in _ENDED and b"\r" in start and b"\n" not in start
        if self._returns:
            self._ended = _ends_with_return

    def __next__(self) -> Line:
        with reading(self._file):
            line = self._line()
            self._require_plausible()
        if not line:
            raise StopIteration
        self._number += 1
        if len(line) > MAX_LINE:
            return _TOO_LONG
        try:
            text = line.decode(self._encoding)
        except UnicodeDecodeError:
            if self._declared is None:
                raise ImportFailed(
                    f"{self._file}: line {self._number} is not {self._encoding}; write its encoding into "
                    "the mapping: csv: {encoding: cp1252} is Windows' for Western Europe, latin-1 and "
                    "utf-16 are others"
                ) from None
            return Problem("NOT_TEXT", f"the line is not {self._encoding}").at("row")
        if "\0" in text:
            return _NULS
        if not self._shown and not line.isascii():
            self._require_other_than_utf8(line)
        # At the beginning, and where files were put behind each other.
        return text.lstrip("\ufeff")

    def _require_other_than_utf8(self, line: bytes) -> None:
        """Raise ImportFailed where the declared encoding garbles UTF-8: the first line beyond ASCII shows it."""
        self._shown = True
        try:
            line.decode()
        except UnicodeDecodeError:
            return
        raise ImportFailed(
            f"{self._file}: it is UTF-8, and the mapping says {self._encoding}; leave csv.encoding out"
        )

    def _require_plausible(self) -> None:
        """Raise ImportFailed where gzip unpacks to far more than any history does."""
        if self._size > _SMALL and self._size > _PLAUSIBLE * self._place:
            raise ImportFailed(
                f"{self._file}: it unpacks to more than {_PLAUSIBLE} times its size, as no history does; "
                "if it is one, unpack it and import that"
            )

    @property
    def _place(self) -> int:
        """How far the file was read, as it is stored."""
        raw = getattr(self._stream, "fileobj", None)  # of a GzipFile
        return self._size if raw is None else raw.tell()

    def mark(self) -> Mark:
        """How far the lines have been read."""
        return Mark(self._size, self._digest.copy(), self._place)

    def _part(self) -> bytes:
        """The next line, or as much of it as is read at once."""
        if not self._returns:
            return self._stream.readline(MAX_LINE)
        ahead = self._stream.peek(1)
        return self._stream.read(ahead.find(b"\r") + 1 or len(ahead))

    def _line(self) -> bytes:
        """The next line's bytes, those of an overlong one cut off; empty at the end."""
        line, length = b"", 0
        while part := self._part():
            self._size += len(part)
            self._digest.update(part)
            line = part if not line else line + part if len(line) <= MAX_LINE else line
            length += len(part)
            if self._encoding == "utf-16-le" and part.endswith(b"\n") and length % 2:
                # The newline's second byte is zero; another one makes it another character.
                rest = self._stream.read(1)
                self._size += len(rest)
                self._digest.update(rest)
                line, length, part = line + rest, length + len(rest), rest
            if self._ended(part, length):
                break
            if length > _ENDLESS:
                raise ImportFailed(
                    f"{self._file}: line {self._number + 1} does not end within {_ENDLESS >> 20} MB; "
                    "it is no CSV and no JSON lines: export it again, one row a line"
                )
        return line


def _ends_with_return(part: bytes, _: int) -> bool:
    return part.endswith(b"\r")


def _ends_narrow(part: bytes, _: int) -> bool:
    return part.endswith(b"\n")


def _ends_little(part: bytes, length: int) -> bool:
    return part == b"\0" and length % 2 == 0


def _ends_big(part: bytes, length: int) -> bool:
    return part.endswith(b"\0\n") and length % 2 == 0


_ENDED: Final[Mapping[str, Callable[[bytes, int], bool]]] = {
    "utf-16-le": _ends_little,
    "utf-16-be": _ends_big,
}
"""Whether a line of this encoding ends with these bytes; it has so many by then, all of them whole characters."""
