"""The rows of an Excel workbook, as texts. Read one at a time: a workbook may be larger than memory."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from openpyxl import load_workbook

from keeper_grpc.importing.failure import ImportFailed
from keeper_grpc.importing.files.kind import PEEKED, require_text, size_of
from keeper_grpc.importing.files.workbook import (
    MOST_COLUMNS,
    MOST_ROWS,
    require_harmless,
    unpacking,
)
from keeper_grpc.importing.mapping.numbers import Exact, currencies

_ZIP = b"PK"

_SHOWN: Final = re.compile(r"\[\$([^\]-]+)|\"([^\"]+)\"|\\?([$\u00a3-\u00a5\u20a0-\u20cf])")
"""Texts of a number format: in brackets with a locale, in quotes, or a currency's sign alone."""

_LOOKED_AT = 256
"""Rows in which formulas are searched."""


def sheet_rows(file: Path, name: str | None) -> Iterator[tuple[list[str], float]]:
    """Each row's cells, and the share of the sheet that is read by then. Raises ImportFailed.

    Numbers are written with a point, dates in ISO 8601, whatever the sheet shows. A cell with an error
    is empty.
    """
    size_of(file)
    with unpacking(file), file.open("rb") as stored:
        start = stored.read(PEEKED)
        if not start.startswith(_ZIP):  # no workbook: the refusal names what it is, and what to do
            require_text(file, start)
        require_harmless(file)
    with warnings.catch_warnings(), unpacking(file):
        # openpyxl warns of what it does not read, such as charts and styles of other programs.
        warnings.simplefilter("ignore")
        # Links to other workbooks are not followed, and not read either.
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        try:
            sheet = book[_chosen([one.title for one in book.worksheets], name, file)]
            total = sheet.max_row or 0
            # Some programs write the size of an empty sheet: what is beyond it would not be read.
            sheet.reset_dimensions()
            _require_values(file, sheet)
            for number, row in enumerate(sheet.iter_rows(), 1):
                if number > MOST_ROWS or len(row) > MOST_COLUMNS:
                    raise ImportFailed(
                        f"{file}: it has more than {MOST_ROWS:,} rows or {MOST_COLUMNS:,} columns, as no sheet has; "
                        "save its sheet as CSV and import that"
                    )
                yield [_text(cell) for cell in row], min(number / total, 1.0) if total else 1.0
        finally:
            book.close()


def _require_values(file: Path, sheet: Any) -> None:
    """Raise ImportFailed where formulas were never calculated: their cells would be read as empty."""
    book = load_workbook(file, read_only=True, keep_links=False)
    try:
        written = book[sheet.title]
        written.reset_dimensions()
        pairs = zip(written.iter_rows(max_row=_LOOKED_AT), sheet.iter_rows(), strict=False)
        results = [
            result.value
            for row, calculated in pairs
            for cell, result in zip(row, calculated, strict=False)
            if cell.data_type == "f"
        ]
    finally:
        book.close()
    # One formula may well give an empty text.
    if results and all(result is None for result in results):
        raise ImportFailed(
            f"{file}: its formulas have no values; open it in a spreadsheet program and save it there"
        )


def _chosen(names: list[str], name: str | None, file: Path) -> str:
    if name is None and len(names) == 1:
        return names[0]
    if name in names:
        return name or ""
    choice = ", ".join(f'"{known}"' for known in names)
    raise ImportFailed(
        f"{file}: name one of its sheets in the mapping, xlsx: {{sheet: ...}}: {choice}"
    )


@lru_cache(maxsize=1024)  # formats repeat in each row
def _currency(number_format: str) -> str:
    """The currency that cells of this format are shown with (`[$\u20ac-407]`, `"$"#,##0`); empty for none."""
    shown = number_format.split(";", maxsplit=1)[0]
    said = [found for parts in _SHOWN.findall(shown) for found in parts if found]
    known = {currency for text in said for currency in currencies(f"1 {text.strip()}")}
    return next(iter(known)) if len(known) == 1 else ""


def _text(cell: Any) -> str:
    value = cell.value
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            number = int(value) if float(value).is_integer() else value
            return Exact(number, _currency(cell.number_format))
        case datetime():
            return value.isoformat(" ", "seconds")
        case str() if cell.data_type == "e":
            return ""
        case _:
            return str(value)
