"""What spreadsheet programs, other languages and careless hands leave in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from keeper_grpc.importing.failure import ImportFailed, Reason
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.suggest import suggest
from tests.unit.importing.mappings import mapping
from tests.unit.importing.test_exports import imported


async def read(
    tmp_path: Path, content: str, **entries: Any
) -> tuple[list[tuple[str, bool]], list[Reason]]:
    """The accounts and answers of the rows, and why the others are rejected."""
    file = tmp_path / "rows.csv"
    file.write_bytes(content.encode())
    made, reasons = await imported(file, mapping(tmp_path, **entries))
    rows = [(request.account_id.removeprefix("spa-"), request.outcome.success) for request in made]
    return rows, reasons


ROWS = [("a", True), ("b", False), ("c", True)]


@pytest.mark.parametrize(
    "content",
    [
        "site,won\r\na,yes\nb,no\rc,yes\r\n",
        'site,won\r"a",yes\rb,no\nc,"yes"\n',
        "\ufeff\ufeffsite,won\na,yes\n\ufeffb,no\n\ufeffc,yes\n",
        '="site",="won"\n="a",="yes"\n"=""b""",no\nc,="yes"\n',
    ],
    ids=["every line end", "more returns than newlines", "files behind each other", "formulas"],
)
async def test_a_file_of_mixed_origin_gives_the_same_rows(tmp_path: Path, content: str) -> None:
    """Each line is a row however it ends, and a mark or a formula around a text is no part of it."""
    assert await read(tmp_path, content) == (ROWS, [])


async def test_a_return_in_quotes_is_a_part_of_its_cell(tmp_path: Path) -> None:
    """Old spreadsheet programs break lines within a cell so."""
    rows, reasons = await read(tmp_path, 'site,won\n"a\rx",yes\nb,no\n')
    assert (rows, reasons) == ([("a\rx", True), ("b", False)], [])


@pytest.mark.parametrize(
    "cell",
    [
        *(
            "نعم",
            "כן",
            "\u03bd\u03b1\u03b9",
            "так",
            "네",
            "是的",
            "ใช่",
            "có",
            "jah",
            "taip",
            "-1",
            "on",
            "+",
        ),
        *("Yes.", "YES!", "TRUE()", "(yes)", "✔️", "👍"),
        *(
            "erschienen",
            "Gekommen",
            "venue",
            "pagado",
            "Zrealizowana",
            "tamamland\u0131",
            "已完成",
            "完了",
        ),
        *("Kept", "show", "Paid", "valmis", "gjennomført"),
    ],
)
async def test_a_yes_of_another_kind_is_no_failure(tmp_path: Path, cell: str) -> None:
    """The row is rejected with what to write, where the mapping does not name its word."""
    rows, reasons = await read(
        tmp_path,
        f"site,won\na,Completed\nb,{cell}\n",
        outcome={"success": {"column": "won", "equals": "Completed"}},
    )
    assert rows == [("a", True)]
    assert [reason.code for reason in reasons] == ["NOT_AN_ANSWER"]
    named = {"column": "won", "in": ["Completed", cell]}
    rows, _ = await read(tmp_path, f"site,won\na,Completed\nb,{cell}\n", outcome={"success": named})
    assert rows == [("a", True), ("b", True)]


@pytest.mark.parametrize(
    "cell",
    [
        *("Total: 12", "TOTAL (USD)", "Grand Total (3 rows)", "Totales", "Totaux", "Suma", "Razem"),
        *("Celkem", "Összesen", "Toplam", "Итого", "合計", "I alt", "Yhteensä", "Report total"),
    ],
)
async def test_a_line_of_totals_is_no_row(tmp_path: Path, cell: str) -> None:
    """In any language that exports are in, and with what stands behind the word."""
    rows, reasons = await read(tmp_path, f"site,won\na,yes\n{cell},yes\n")
    assert rows == [("a", True)]
    assert [reason.code for reason in reasons] == ["TOTALS_LINE"]


@pytest.mark.parametrize(
    ("written", "cell", "said"),
    [
        ("excel", "45,720", "another century"),  # 45720 in groups, or the 45th day of 1900
        ("excel", "5", "another century"),
        ("excel", "-45720", "another century"),
        ("excel", "1e5", "another century"),
        ("unix", "45720", "write format: excel"),
        ("unix_ms", "1741012812", "write format: unix"),
        ("iso", "0025-03-04", "another century"),
        ("%d/%m/%Y", "04/03/0025", "another century"),
        ("%d/%m/%Y", "04/03/2568", "another century"),  # a Buddhist year
    ],
)
async def test_a_time_of_another_unit_or_calendar_is_no_time(
    tmp_path: Path, written: str, cell: str, said: str
) -> None:
    """Seconds read as milliseconds are a day of 1970: no outcome is, and --check says so before the server does."""
    rows, reasons = await read(
        tmp_path,
        f'site,won,when\na,yes,"{cell}"\n',
        occurred_time={"column": "when", "format": written},
    )
    assert rows == []
    assert [reason.code for reason in reasons] == ["NOT_A_TIME"]
    assert said in reasons[0].description


@pytest.mark.parametrize("stray", ["5,", "5.", "$5,", "5,|7."])
async def test_a_mark_with_nothing_behind_it_decides_no_column(tmp_path: Path, stray: str) -> None:
    """A slip in one cell would make 1,200 of all others 1.2."""
    cells = ["1,200", *stray.split("|")]
    lines = "".join(f'a,yes,"{cell}"\n' for cell in cells)
    rows, reasons = await read(tmp_path, f"site,won,spent\n{lines}", dollar_value="spent")
    assert len(rows) == len(cells) - 1
    assert [reason.code for reason in reasons] == ["AMBIGUOUS_NUMBER"]


EUROS = "#,##0.00 [$\u20ac-407]"


@pytest.mark.parametrize(
    ("formats", "refused"),
    [
        (('"$"#,##0.00', EUROS), True),
        (("[$\u00a3-809]#,##0.00", '_-* #,##0.00 "kr"_-'), True),
        (("$#,##0.00;[Red]-$#,##0.00", "\\\\\u20ac #,##0"), True),
        (('"$"#,##0.00', "[$$-409]#,##0.00"), False),
        ((EUROS, '#,##0.00 "EUR"'), False),
        ((EUROS, "General"), False),
        (('#,##0 "visits"', "0.00%"), False),
    ],
)
async def test_a_workbooks_amounts_are_of_the_currency_that_it_shows(
    tmp_path: Path, formats: tuple[str, str], refused: bool
) -> None:
    """It keeps a number and says dollars or euros in the cell's format alone."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["site", "won", "spent"])
    for row, shown in enumerate(formats, 2):
        sheet.append(["a", "yes", 5])
        sheet.cell(row, 3).number_format = shown
    book.save(tmp_path / "rows.xlsx")
    chosen = mapping(tmp_path, dollar_value="spent")
    if refused:
        with pytest.raises(ImportFailed, match="amounts in several currencies"):
            await imported(tmp_path / "rows.xlsx", chosen)
        return
    made, reasons = await imported(tmp_path / "rows.xlsx", chosen)
    assert ([request.insight.dollar_value for request in made], reasons) == ([5, 5], [])


@pytest.mark.parametrize(
    ("header", "row", "proposed"),
    [
        (
            "Filiale;Datum;Status;Umsatz",
            "N;{day:02}.03.2025;{de};1.2{day:02},50",
            ["%d.%m.%Y", "erschienen"],
        ),
        (
            "Salon,Date,Résultat,Montant",
            '"N",2025-03-{day:02},{fr},"{day},50"',
            ["Résultat", "oui", "non"],
        ),
        ("Location,Date,Status", "N,{day} Mar 2025,{en}", ["%d %b %Y"]),
        ("Location,Date,Status", '"N","March {day}, 2025",{en}', ["%b %d, %Y"]),
        ("Location,Date,Status", "N,2025/03/{day:02},{en}", ["%Y/%m/%d"]),
        ("Location,Created,Status", "N,17410128121{day:02},{en}", ["unix_ms"]),
        ("Location,Date,Status", "N,202503{day:02},{en}", ['occurred_time: "Date"']),
    ],
)
async def test_a_proposal_reads_the_file_that_it_is_of(
    tmp_path: Path, header: str, row: str, proposed: list[str]
) -> None:
    """In the language of the file, with its times: rows without one would count as of today."""
    words = {"de": ("No-Show", "Erschienen"), "fr": ("Non", "Oui"), "en": ("No-Show", "Completed")}
    lines = [
        row.format(day=day, **{name: both[day % 2] for name, both in words.items()})
        for day in range(1, 21)
    ]
    file = tmp_path / "export.csv"
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    text = suggest(file, None)
    assert [part for part in proposed if part not in text] == []
    (tmp_path / "proposal.yaml").write_text(text, encoding="utf-8")
    made, reasons = await imported(file, Mapping.load(tmp_path / "proposal.yaml"))
    assert reasons == []
    assert [request.outcome.success for request in made] == [True, False] * 10
    assert {request.occurred_time.ToDatetime().year for request in made} == {2025}


@pytest.mark.parametrize(
    ("header", "row", "doubt"),
    [
        ("Location,Date,Status", "N,week {week} of 2025,{answer}", 'format: "?"}  # unsure'),
        (
            "Location,Status",
            "N,{answer}",
            "# occurred_time:  # unsure: no column looks like a time",
        ),
        ("Location,Status,Total", 'N,{answer},"1,2{week:02}"', 'decimal: "."} or {column: "Total"'),
    ],
)
def test_a_proposal_says_what_it_cannot_know(
    tmp_path: Path, header: str, row: str, doubt: str
) -> None:
    """A time in a form that is not known, none at all, and amounts with two readings."""
    lines = [
        row.format(week=week, answer=("no-show", "completed")[week % 2]) for week in range(1, 21)
    ]
    file = tmp_path / "export.csv"
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    assert doubt in suggest(file, None)
