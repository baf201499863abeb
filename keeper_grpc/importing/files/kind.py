"""What a file is, before its rows are read: one that can be read more than once, and of a kind that has rows."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from keeper_grpc.importing.failure import ImportFailed

Format: TypeAlias = Literal["csv", "jsonl", "xlsx"]

PEEKED: Final = 512
"""Bytes that show what a file is."""

_TO_CSV: Final = "save its sheet as CSV or as .xlsx"
_AS_TABLE: Final = "export the table as CSV or as .xlsx"

_SUFFIXES: Final[Mapping[str, Format]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}

_OTHERS: Final[Mapping[str, str]] = {
    ".xls": f"it is a workbook of before 2007; {_TO_CSV}",
    ".xlsb": f"it is a binary workbook; {_TO_CSV}",
    ".ods": f"it is an OpenDocument workbook; {_TO_CSV}",
    ".numbers": f"it is a workbook of Numbers; {_TO_CSV}",
    ".zip": "it is packed with zip; unpack it, and import the file in it",
    ".7z": "it is packed; unpack it, and import the file in it",
    ".tar": "it is packed; unpack it, and import the file in it",
    ".bz2": "it is packed with bzip2; unpack it, or pack it with gzip",
    ".xz": "it is packed with xz; unpack it, or pack it with gzip",
    ".zst": "it is packed with zstd; unpack it, or pack it with gzip",
    ".json": "say --format jsonl if each line is an object; of one array, make such lines with jq -c '.[]'",
    ".pdf": f"it is a PDF; {_AS_TABLE}",
    ".html": f"it is a web page; {_AS_TABLE}",
    ".parquet": f"it is a Parquet file; {_AS_TABLE}",
}
"""What other suffixes say, and what to do."""

_MAGIC: Final[Sequence[tuple[bytes, str]]] = (
    (
        b"PK",
        "it is packed, or a workbook: unpack it, or give a workbook the suffix .xlsx, or say --format xlsx",
    ),
    (
        b"\xd0\xcf\x11\xe0",
        f"it is a workbook of before 2007, or one with a password; {_TO_CSV}, without a password",
    ),
    (b"\x1f\x8b", "it is packed with gzip more than once; unpack it"),
    (b"BZh", "it is packed with bzip2; unpack it, or pack it with gzip"),
    (b"\xfd7zXZ", "it is packed with xz; unpack it, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "it is packed with zstd; unpack it, or pack it with gzip"),
    (b"7z\xbc\xaf", "it is packed; unpack it, and import the file in it"),
    (b"%PDF", f"it is a PDF; {_AS_TABLE}"),
    (b"PAR1", f"it is a Parquet file; {_AS_TABLE}"),
    (b"SQLite format 3", f"it is an SQLite database; {_AS_TABLE}"),
    (b"\xff\xfe\x00\x00", "it is UTF-32; save it as UTF-8"),
    (b"\x00\x00\xfe\xff", "it is UTF-32; save it as UTF-8"),
)
"""How files begin that are no text, whatever their names say."""

_MARKUP: Final[Sequence[tuple[bytes, str]]] = (
    (b"<!doctype html", f"it is a web page; {_AS_TABLE}"),
    (b"<html", f"it is a web page, which some programs call .xls or .csv; {_AS_TABLE}"),
    (b"<table", f"it is a web page, which some programs call .xls or .csv; {_AS_TABLE}"),
    (b"<?xml", f"it is XML; {_AS_TABLE}"),
    (b"{\\rtf", f"it is a text document; {_AS_TABLE}"),
)


def size_of(file: Path) -> int:
    """Its size in bytes. Raises ImportFailed for what is no regular file, or an empty one.

    The file is looked at and never opened: to open a pipe waits for its writer.
    """
    try:
        found = file.stat()
    except OSError as error:
        if str(file) == "-":
            raise ImportFailed(_ONCE.format(file="standard input")) from None
        raise ImportFailed(f"{file}: {error.strerror}") from None
    if stat.S_ISDIR(found.st_mode):
        raise ImportFailed(f"{file}: it is a directory; name a file in it")
    if not stat.S_ISREG(found.st_mode):
        raise ImportFailed(_ONCE.format(file=file))
    if not found.st_size:
        raise ImportFailed(f"{file}: it is empty; export it again")
    return found.st_size


_ONCE: Final = "{file}: it is a pipe or a device, and an import reads its file more than once; write it to a file first"


def format_of(file: Path) -> Format:
    """The format that the file's suffix names, `.gz` behind it or not. Raises ImportFailed."""
    suffix = (file.with_suffix("") if file.suffix.lower() == ".gz" else file).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    what = _OTHERS.get(suffix, "say what it is with --format csv, --format jsonl or --format xlsx")
    raise ImportFailed(f"{file}: {what}")


def require_text(file: Path, start: bytes) -> None:
    """Raise ImportFailed where a file that begins with these bytes, unpacked, is no text with rows."""
    for magic, what in _MAGIC:
        if start.startswith(magic):
            raise ImportFailed(f"{file}: {what}")
    words = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for magic, what in _MARKUP:
        if words.startswith(magic):
            raise ImportFailed(f"{file}: {what}")


def require_objects(file: Path, start: bytes) -> None:
    """Raise ImportFailed where the lines of JSON are one array."""
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        raise ImportFailed(
            f"{file}: it is one JSON array; write each object on a line of its own: jq -c '.[]' does that"
        )
