"""Whether a workbook may be opened: what is in the archive, before any of it is unpacked as a whole.

A sheet is read row by row. The other parts are unpacked into memory: texts, styles, names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final
from xml.parsers import expat
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from keeper_grpc.importing.failure import ImportFailed

MOST_TEXTS: Final = 32 << 20
"""Bytes of the parts that are kept in memory, unpacked. Some 700,000 different texts fit into them."""

MOST_ROWS: Final = 1_048_576
"""Rows of a sheet in Excel. A file may claim others, and the rows in between would be made up."""

MOST_COLUMNS: Final = 16_384
"""Columns of a sheet in Excel."""

_MOST_PARTS: Final = 10_000
_PLAUSIBLE: Final = 200
"""How many times its packed size a part of a real workbook has at most. zlib could reach a thousand."""
_SMALL: Final = 16 << 20
"""Bytes below which that does not matter."""

_SHEETS: Final = "xl/worksheets/"
_UNREAD: Final = ("xl/media/", "xl/embeddings/", "xl/printerSettings/", "docProps/")
_ENCRYPTED: Final = 0x1
_CHUNK: Final = 1 << 16
_CSV: Final = "save its sheet as CSV and import that"


class _RootFound(Exception):
    """The document's own elements begin."""


class _TypeFound(Exception):
    """The document declares a type, and with it entities."""


@contextmanager
def unpacking(file: Path) -> Iterator[None]:
    """Raise ImportFailed where a workbook turns out to be damaged, or none."""
    try:
        yield
    except ImportFailed:
        raise
    except OSError as error:
        if error.strerror is None:
            raise ImportFailed(_damaged(file)) from None
        raise ImportFailed(f"{file}: {error.strerror}") from None
    except Exception:  # noqa: BLE001 - openpyxl fails with whatever its code meets in a file that is none
        raise ImportFailed(_damaged(file)) from None


def require_harmless(file: Path) -> None:
    """Raise ImportFailed for a workbook that would fill memory, or that asks for what lies elsewhere.

    Within `unpacking`: a file that is no archive raises what zipfile raises.
    """
    with ZipFile(file) as archive:
        _require_sizes(file, archive.infolist())
        for part in archive.infolist():
            if part.filename.endswith((".xml", ".rels")):
                with archive.open(part) as stream:
                    _require_no_type(file, stream)


def _require_sizes(file: Path, parts: list[ZipInfo]) -> None:
    """Raise ImportFailed by the sizes that the archive states: none is unpacked beyond its own."""
    if len(parts) > _MOST_PARTS:
        raise ImportFailed(f"{file}: it has {len(parts):,} parts, as no workbook has; {_CSV}")
    kept = 0
    for part in parts:
        if part.flag_bits & _ENCRYPTED or part.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
            raise ImportFailed(
                f"{file}: it has a password, or is packed in a way that no workbook is; {_CSV}"
            )
        if part.file_size > max(_SMALL, _PLAUSIBLE * part.compress_size):
            raise ImportFailed(
                f"{file}: a part of it unpacks to {part.file_size >> 20:,} MB, more than {_PLAUSIBLE} times of "
                f"what it is packed; {_CSV}"
            )
        if not part.filename.startswith((_SHEETS, *_UNREAD)):
            kept += part.file_size
    if kept > MOST_TEXTS:
        raise ImportFailed(
            f"{file}: its texts are {kept >> 20:,} MB, and {MOST_TEXTS >> 20} MB are kept in memory; {_CSV}"
        )


def _require_no_type(file: Path, stream: IO[bytes]) -> None:
    """Raise ImportFailed where a part declares entities, which may multiply or name other files.

    A document's type stands before its first element, so no more is read than that.
    """
    parser = expat.ParserCreate()

    def element(*_: object) -> None:
        raise _RootFound

    def declared(*_: object) -> None:
        raise _TypeFound

    parser.StartElementHandler = element
    parser.StartDoctypeDeclHandler = declared
    try:
        for _ in range(MOST_TEXTS // _CHUNK):
            chunk = stream.read(_CHUNK)
            parser.Parse(chunk, not chunk)
            if not chunk:
                return
    except _RootFound:
        return
    except _TypeFound:
        raise ImportFailed(
            f"{file}: it declares XML entities, as no workbook does; {_CSV}"
        ) from None
    except expat.ExpatError:
        pass
    raise ImportFailed(_damaged(file))


def _damaged(file: Path) -> str:
    return (
        f"{file}: it is no workbook that can be read (.xlsx), or it is damaged; unpack it if it is packed, save it as "
        ".xlsx, or say --format csv if it is text"
    )
