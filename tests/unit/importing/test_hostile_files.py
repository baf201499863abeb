"""Files that are none, that unpack to far more, or that never end: one line says what to do, and little is read."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

from keeper_grpc.importing.failure import ImportFailed
from keeper_grpc.importing.files.kind import Format
from keeper_grpc.importing.files.rows import Source
from keeper_grpc.importing.suggest import suggest
from keeper_grpc.importing.survey.whole_file import survey
from tests.unit.importing.mappings import mapping

SHEET = "xl/worksheets/sheet1.xml"
TEXTS = "xl/sharedStrings.xml"
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
TWO = '<c r="A{0}" t="inlineStr"><is><t>{1}</t></is></c><c r="B{0}" t="inlineStr"><is><t>{2}</t></is></c>'
"""The cells of one row."""
LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12))
    + "]>"
)
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


async def first_pass(tmp_path: Path, file: Path, file_format: Format | None) -> None:
    """What an import does before it sends anything."""
    chosen = mapping(tmp_path)
    source = Source(file, file_format, chosen)
    source.check()
    await survey(chosen, source)


async def refusal(tmp_path: Path, file: Path, file_format: Format | None = None) -> str:
    """What an import says of the file, up to the end of its first pass."""
    with pytest.raises(ImportFailed) as refused:
        await first_pass(tmp_path, file, file_format)
    said = str(refused.value)
    assert "\n" not in said
    return said


def bytes_read() -> int:
    """What this process has read from files so far."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


def workbook(file: Path, **parts: str) -> Path:
    """A workbook of two rows, with these parts in the place of its own."""
    book, whole = Workbook(), io.BytesIO()
    assert book.active is not None
    for row in (["site", "won"], ["north", "yes"]):
        book.active.append(row)
    book.save(whole)
    replaced = {SHEET if name == "sheet" else TEXTS: text for name, text in parts.items()}
    with zipfile.ZipFile(whole) as made, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name in {*made.namelist(), *replaced}:
            out.writestr(name, replaced.get(name) or made.read(name))
    return file


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.mkdir, "name a file in it"),
        (os.mkfifo, "write it to a file first"),
        (lambda file: file.symlink_to("/dev/zero"), "write it to a file first"),
        (lambda file: file.symlink_to("nowhere"), "No such file"),
        (lambda file: file.symlink_to(file), "Too many levels of symbolic links"),
        (Path.touch, "it is empty"),
    ],
    ids=["directory", "pipe", "device", "link to nothing", "link to itself", "empty"],
)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".xlsx"])
async def test_what_is_no_file_with_rows_is_never_opened(
    tmp_path: Path, make: Callable[[Path], None], said: str, suffix: str
) -> None:
    """To open a pipe waits for ever, and a device has no end."""
    file = tmp_path / f"rows{suffix}"
    make(file)

    assert said in await refusal(tmp_path, file)
    with pytest.raises(ImportFailed, match=said):
        suggest(file, None)


async def test_standard_input_is_to_be_written_to_a_file(tmp_path: Path) -> None:
    """An import reads its file more than once."""
    assert "standard input" in await refusal(tmp_path, Path("-"), "csv")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.xls", b"", "save its sheet as CSV"),
        ("rows.ods", b"", "save its sheet as CSV"),
        ("rows.zip", b"", "unpack it"),
        ("rows.json", b"", "jq -c"),
        ("rows.csv", b"PK\x03\x04", ".xlsx"),
        ("rows.csv", b"\xd0\xcf\x11\xe0\xa1\xb1", "before 2007, or one with a password"),
        ("rows.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1", "before 2007, or one with a password"),
        ("rows.xlsx", b"<html><table><tr><td>site", "it is a web page"),
        ("rows.xlsx", b"site,won\nnorth,yes\n", "--format csv"),
        ("rows.csv", b"\n <!DOCTYPE html><html>", "it is a web page"),
        ("rows.csv", b"PAR1\x15\x04", "Parquet"),
        ("rows.csv", b"%PDF-1.7", "PDF"),
        ("rows.csv", "site,won".encode("utf-32"), "UTF-8"),
        (
            "rows.csv.gz",
            gzip.compress(gzip.compress(b"site,won\n", mtime=0), mtime=0),
            "more than once",
        ),
        ("rows.csv.gz", gzip.compress(b"PK\x03\x04", mtime=0), "packed"),
        ("rows.jsonl", b'[{"site": "north"}]', "jq -c"),
    ],
)
async def test_a_file_of_another_kind_says_how_to_go_on(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    """By its suffix, or by its first bytes where the suffix says what it is not; a proposal as well."""
    file = tmp_path / name
    file.write_bytes(content)

    assert said in await refusal(tmp_path, file)
    with pytest.raises(ImportFailed, match=said.replace("(", r"\(")):
        suggest(file, None)


@pytest.mark.parametrize("start", [b"", b"site,won\nnorth,yes\n", b"site,won\r\n\xff\xfe"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
async def test_a_line_without_an_end_is_given_up(tmp_path: Path, start: bytes, suffix: str) -> None:
    """Ten gigabytes, of which little is read: the size of a line is bounded, not only what is kept of it."""
    file = tmp_path / f"rows{suffix}"
    file.write_bytes(start)
    os.truncate(file, 10 << 30)
    before = bytes_read()

    assert "does not end within 64 MB" in await refusal(tmp_path, file)
    assert bytes_read() - before < 300 << 20


async def test_a_packed_file_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    """Of a gigabyte of blanks some megabytes are unpacked."""
    file = tmp_path / "rows.csv.gz"
    blanks = b" " * (1 << 20)
    with gzip.open(file, "wb", 9) as packed:
        packed.write(b"site,won\nnorth,yes\n")
        for _ in range(40):
            packed.write(blanks[:-1] + b"\n")

    assert "unpacks to more than 250 times" in await refusal(tmp_path, file)


async def test_a_header_of_a_million_columns_is_refused(tmp_path: Path) -> None:
    """A row of it would cost as much as a thousand others."""
    file = tmp_path / "rows.csv"
    file.write_text("site,won" + "," * 1_000_000 + "\nnorth,yes\n")

    assert "at most 16,384" in await refusal(tmp_path, file)


async def test_a_line_with_nuls_costs_itself(tmp_path: Path) -> None:
    """No database stores them; a file that was preallocated and never filled is full of them."""
    file = tmp_path / "rows.csv"
    file.write_bytes(b"site,won\nnorth,yes\nso\0uth,yes\n\0\0\0\nwest,no\n")

    rows = [
        row.unreadable.code if row.unreadable else ""
        for row in Source(file, None, mapping(tmp_path)).rows()
    ]

    assert rows == ["", "NOT_TEXT", "NOT_TEXT", ""]


def test_an_object_that_nests_without_end_costs_itself(tmp_path: Path) -> None:
    """The names of its cells would grow with the square of the line."""
    file = tmp_path / "rows.jsonl"
    deep = '{"a": ' * 500 + "1" + "}" * 500
    file.write_text(f'{{"site": "north", "won": "yes"}}\n{deep}\n')

    rows = [
        row.unreadable.code if row.unreadable else ""
        for row in Source(file, None, mapping(tmp_path)).rows()
    ]

    assert rows == ["", "NOT_JSON"]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"sheet": "<worksheet>" + " " * (64 << 20) + "</worksheet>"}, "200 times"),
        ({"texts": "<sst>" + " " * (64 << 20) + "</sst>"}, "200 times"),
        (
            {"sheet": f"{LAUGHS}<worksheet {MAIN}><sheetData>&m;</sheetData></worksheet>"},
            "XML entities",
        ),
        ({"texts": f"{LAUGHS}<sst {MAIN}><si><t>&m;</t></si></sst>"}, "XML entities"),
        ({"texts": f"{OUTSIDE}<sst {MAIN}><si><t>&a;</t></si></sst>"}, "XML entities"),
        ({"sheet": "<worksheet"}, "damaged"),
        (
            {
                "sheet": f'<worksheet {MAIN}><sheetData><row r="1">{TWO.format(1, "site", "won")}</row>'
                '<row r="900000000"/></sheetData></worksheet>'
            },
            "1,048,576 rows",
        ),
    ],
    ids=["sheet", "texts", "laughs", "laughs in texts", "another file", "cut off", "rows"],
)
async def test_a_workbook_that_would_fill_memory_is_refused(
    tmp_path: Path, parts: dict[str, str], said: str
) -> None:
    """By what its archive and its first lines say, before any of it is unpacked as a whole."""
    file = workbook(tmp_path / "rows.xlsx", **parts)

    assert file.stat().st_size < 1 << 20
    assert said in await refusal(tmp_path, file)


async def test_a_workbook_with_a_row_far_below_and_one_far_to_the_right_is_read(
    tmp_path: Path,
) -> None:
    """Formats of whole columns make such sheets: empty rows and cells are none."""
    file = workbook(
        tmp_path / "rows.xlsx",
        sheet=f'<worksheet {MAIN}><sheetData><row r="1">{TWO.format(1, "site", "won")}</row>'
        f'<row r="2">{TWO.format(2, "north", "yes")}<c r="XFD2" s="0"/></row>'
        f'<row r="200000">{TWO.format(200_000, "south", "yes")}</row></sheetData></worksheet>',
    )
    chosen = mapping(tmp_path)
    source = Source(file, None, chosen)

    source.check()

    assert [row.cells for row in source.rows()] == [
        {"site": "north", "won": "yes"},
        {"site": "south", "won": "yes"},
    ]
