"""Files shaped like the exports of booking software, each with the mapping that a person writes first."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from openpyxl import Workbook
from openpyxl.chart import BarChart

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import CapturePatternRequest
from keeper_grpc.importing.build import build, skipped
from keeper_grpc.importing.failure import ImportFailed, Reason, RowRejected
from keeper_grpc.importing.files.rows import Source
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.suggest import suggest
from keeper_grpc.importing.survey.whole_file import survey
from tests.unit.importing.mappings import mapping

EXPORTS = Path(__file__).parent / "exports"
NAMES = sorted(file.stem for file in EXPORTS.glob("*.csv"))

AMOUNTS = {
    "semicolon-euro": [1234.56, 0.0, 85.5],
    "dollar": [1200.5, 0.0, -85.5],
    "french-number": [1200.5, 0.0, 85.5],
}
"""What three rows are worth; in the other files it is 120, 0 and 85.50."""


async def imported(file: Path, chosen: Mapping) -> tuple[list[CapturePatternRequest], list[Reason]]:
    """What the rows of a file become, and why the others are rejected."""
    source = Source(file, None, chosen)
    source.check()
    read = (await survey(chosen, source)).mapping
    made: list[CapturePatternRequest] = []
    reasons: list[Reason] = []
    for row in source.rows():
        if row.unreadable is not None:
            reasons.append(row.unreadable)
            continue
        if skipped(read, row.cells):
            continue
        try:
            made.append(build(read, row.cells, uuid4()))
        except RowRejected as rejected:
            reasons += rejected.reasons
    return made, reasons


def changed(tmp_path: Path, name: str, old: str, new: str) -> Mapping:
    """A mapping of the exports with one entry written otherwise."""
    file = tmp_path / f"{name}.yaml"
    text = (EXPORTS / f"{name}.yaml").read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return Mapping.load(file)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "excel-serial"])
async def test_an_export_is_read_as_it_was_meant(name: str) -> None:
    """Three rows with their days, amounts, answers and names, whatever stands around them."""
    made, reasons = await imported(EXPORTS / f"{name}.csv", Mapping.load(EXPORTS / f"{name}.yaml"))

    assert reasons == []
    assert [request.outcome.success for request in made] == [True, False, True]
    assert [request.outcome.revenue_impact for request in made] == AMOUNTS.get(
        name, [120.0, 0.0, 85.5]
    )
    assert [request.insight.conditions["days_since_visit"] for request in made] == [45, 60, 30]
    assert [request.account_id for request in made] == ["salon-north", "salon-north", "salon-south"]
    assert [f"{request.occurred_time.ToDatetime():%Y-%m-%d}" for request in made] == [
        *("2025-03-04", "2025-03-05", "2025-03-06")
    ]
    assert made[0].identifiers.customer_names == ["Okonkwo, Adaeze"]


async def test_excels_days_are_dates_where_the_mapping_says_so(tmp_path: Path) -> None:
    """45721.604 is a quarter past two on 5 March 2025; without the word each row says what to write."""
    file = EXPORTS / "excel-serial.csv"
    told = changed(
        tmp_path,
        "excel-serial",
        "occurred_time: Sale Date",
        "occurred_time: {column: Sale Date, format: excel}",
    )

    made, _ = await imported(file, told)
    _, untold = await imported(file, Mapping.load(EXPORTS / "excel-serial.yaml"))

    assert [f"{request.occurred_time.ToDatetime():%Y-%m-%d %H:%M}" for request in made] == [
        *("2025-03-04 00:00", "2025-03-05 14:29", "2025-03-06 00:00")
    ]
    assert {reason.code for reason in untold} == {"NOT_A_TIME"}
    assert all("format: excel" in reason.description for reason in untold)


async def test_a_workbook_and_a_packed_file_give_the_same_rows(tmp_path: Path) -> None:
    """Real dates, numbers and an error cell of Excel, titles above; and gzip, known by its bytes."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Sales by Client"])
    sheet.append([])
    plain = (EXPORTS / "dollar.csv").read_text().splitlines()
    sheet.append([*plain[0].split(","), "Check"])
    for day, answer, total in (
        (4, "Completed", 1200.5),
        (5, "No-Show", 0),
        (6, "COMPLETED", -85.5),
    ):
        sheet.append(
            [
                *(date(2025, 3, day), "Okonkwo, Adaeze", "north", 45, "Facial"),
                *("Call the guest", answer, total, "#N/A"),
            ]
        )
    book.save(tmp_path / "export.xlsx")
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress((EXPORTS / "dollar.csv").read_bytes()))
    chosen = Mapping.load(EXPORTS / "dollar.yaml")

    for file in (tmp_path / "export.xlsx", tmp_path / "packed.csv.gz"):
        made, reasons = await imported(file, chosen)
        assert reasons == []
        assert [request.outcome.revenue_impact for request in made] == [1200.5, 0.0, -85.5]
        assert [request.outcome.success for request in made] == [True, False, True]
        assert made[0].occurred_time.ToDatetime().day == 4


@pytest.mark.parametrize(
    ("content", "settings", "said"),
    [
        (b"site,won,won\nnorth,yes,no\n", {}, "2 columns have that name"),
        (b"site,won\nn\xe9rth,yes\n", {}, "encoding: cp1252"),
        (b"sep=;\nsite;won\nnorth;yes\n", {"csv": {"delimiter": ","}}, "leave it out"),
        (b"site,won\nnorth,Completed\nsouth,Oui\n", {}, "fails"),
        (
            b"site,won,spent\nnorth,yes,$5\nnorth,yes,\xe2\x82\xac5\n",
            {"dollar_value": "spent"},
            "currencies",
        ),
        (
            b"site,won,spent,Currency\nnorth,yes,5,EUR\nnorth,yes,5,usd\n",
            {"dollar_value": "spent"},
            'column "Currency" names several currencies',
        ),
        (
            "site,won,spent,Devise du paiement\nnorth,yes,5,\u20ac\nnorth,yes,5,\u00a3\n".encode(),
            {"outcome": {"success": {"column": "won", "equals": "yes"}, "cost": "spent"}},
            "names several currencies",
        ),
        (b"\x1f\x8b\x08\x00", {}, "damaged or cut off"),
        (b"PK\x03\x04", {}, "--format xlsx"),
        (b"", {}, "it is empty"),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_what_to_write(
    tmp_path: Path, content: bytes, settings: dict[str, Any], said: str
) -> None:
    """Nothing is sent, and the line names the cure."""
    file = tmp_path / "rows.csv"
    file.write_bytes(content)

    with pytest.raises(ImportFailed, match=said):
        await imported(file, mapping(tmp_path, **settings))


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        (b"site,won,spent,currency\nnorth,yes,5,EUR\nnorth,yes,6,eur\n", {"dollar_value": "spent"}),
        (
            "site,won,spent,currency\nnorth,yes,5,EUR\nnorth,yes,6,\u20ac\nnorth,yes,7,\n".encode(),
            {"dollar_value": "spent"},
        ),
        (
            b"site,won,spent,currency\nnorth,yes,5,EUR\nnorth,yes,6,USD\n",
            {"dollar_value": "spent", "skip": [{"column": "currency", "equals": "USD"}]},
        ),
        (
            b"site,won,spent,currency\nnorth,yes,5,EUR\nnorth,yes,6,USD\n",
            {"dollar_value": "spent", "never_read": ["currency"]},
        ),
        (b"site,won,currency\nnorth,yes,EUR\nnorth,yes,USD\n", {}),
    ],
)
async def test_amounts_of_one_currency_are_read(
    tmp_path: Path, content: bytes, settings: dict[str, Any]
) -> None:
    """A column beside them that names one, however it is written, or that says nothing about what is read."""
    file = tmp_path / "rows.csv"
    file.write_bytes(content)
    made, reasons = await imported(file, mapping(tmp_path, **settings))
    assert made
    assert not reasons


async def test_a_malformed_line_costs_itself(tmp_path: Path) -> None:
    """A quotation mark that nobody closes, bytes of another encoding, a line too long, and a cell too many."""
    rows = [
        b"site,won,note",
        b'north,yes,"open',
        b"a,yes,1",
        b"\xff\xfe,yes,2",
        b"b,yes," + b"x" * (1 << 20),
        b"c,yes,3,4",
        b'd,yes,"two\nlines"',
        b",,",
        b"e,yes,",
    ]
    (tmp_path / "rows.csv").write_bytes(b"\n".join(rows))

    made, reasons = await imported(
        tmp_path / "rows.csv", mapping(tmp_path, csv={"encoding": "utf-8"})
    )

    assert [request.account_id for request in made] == ["spa-a", "spa-d", "spa-e"]
    assert [reason.code for reason in reasons] == [
        *("NOT_CSV", "NOT_TEXT", "TOO_LONG", "WRONG_CELL_COUNT")
    ]


async def test_the_columns_other_cells_decide_what_a_number_means(tmp_path: Path) -> None:
    """`1,200` is a thousand where another cell has a point, and one and a fifth where another has a comma."""
    chosen = mapping(tmp_path, dollar_value="spent", csv={"delimiter": ";"})
    values = {}
    for name, other in {"point": "85.50", "comma": "85,50", "neither": "85"}.items():
        (tmp_path / f"{name}.csv").write_text(f"site;won;spent\na;yes;1,200\nb;yes;{other}\n")
        made, reasons = await imported(tmp_path / f"{name}.csv", chosen)
        values[name] = (
            [request.insight.dollar_value for request in made],
            [reason.code for reason in reasons],
        )

    assert values == {
        "point": ([1200.0, 85.5], []),
        "comma": ([1.2, 85.5], []),
        "neither": ([85.0], ["AMBIGUOUS_NUMBER"]),
    }


async def test_a_word_for_yes_that_the_mapping_lacks_is_no_silent_no(tmp_path: Path) -> None:
    """`Oui` beside `yes` is refused row by row; another word counts as no, and is counted."""
    (tmp_path / "rows.csv").write_text("site,won\na,YES\nb,Oui\nc,maybe\n")
    chosen = mapping(tmp_path)
    source = Source(tmp_path / "rows.csv", None, chosen)

    made, reasons = await imported(tmp_path / "rows.csv", chosen)
    answers = (await survey(chosen, source)).answers

    assert [request.outcome.success for request in made] == [True, False]
    assert [reason.code for reason in reasons] == ["NOT_AN_ANSWER"]
    assert (answers.yes, answers.no, len(answers.others)) == (1, 1, 1)


@pytest.mark.parametrize("name", NAMES)
async def test_a_proposed_mapping_reads_the_file_it_was_made_from(
    tmp_path: Path, name: str
) -> None:
    """All rows, with their answers and amounts; what is guessed is marked, and no name is repeated."""
    file = EXPORTS / f"{name}.csv"
    proposal = suggest(file, None)
    (tmp_path / "map.yaml").write_text(proposal)

    made, reasons = await imported(file, Mapping.load(tmp_path / "map.yaml"))

    assert reasons == []
    assert [request.outcome.success for request in made] == [True, False, True]
    assert [request.outcome.revenue_impact for request in made] == AMOUNTS.get(
        name, [120.0, 0.0, 85.5]
    )
    assert "# unsure: " in proposal
    assert "Okonkwo" not in proposal


async def test_dates_in_the_other_order_are_refused_as_a_whole(tmp_path: Path) -> None:
    """One cell of `03/25` shows that `03/04` is in March too; a day that no order knows costs itself."""
    (tmp_path / "rows.csv").write_text("site,won,on\na,yes,03/04/2025\nb,yes,03/25/2025\n")
    (tmp_path / "typo.csv").write_text("site,won,on\na,yes,25/03/2025\nb,yes,30/30/2025\n")
    chosen = mapping(tmp_path, occurred_time={"column": "on", "format": "%d/%m/%Y"})

    with pytest.raises(ImportFailed, match="%m/%d/%Y"):
        await imported(tmp_path / "rows.csv", chosen)
    made, reasons = await imported(tmp_path / "typo.csv", chosen)

    assert (len(made), [reason.code for reason in reasons]) == (1, ["NOT_A_TIME"])


async def test_an_empty_cell_and_a_number_with_a_point_answer_where_the_mapping_says_so(
    tmp_path: Path,
) -> None:
    """A cross or nothing, and the 1.0 of a program that has no empty whole number."""
    for yes, text in (("x", "site,won\na,X\nb,\n"), ("1", "site,won\na,1.0\nb,0.0\n")):
        (tmp_path / "rows.csv").write_text(text)
        success = {"column": "won", "equals": yes, "fails": ["", "0"]}

        made, reasons = await imported(
            tmp_path / "rows.csv", mapping(tmp_path, outcome={"success": success})
        )

        assert ([request.outcome.success for request in made], reasons) == ([True, False], [])


async def test_a_status_that_took_place_is_no_silent_no(tmp_path: Path) -> None:
    """`Attended` beside `Completed` is refused row by row until the mapping names it."""
    (tmp_path / "rows.csv").write_text("site,won\na,yes\nb,Attended\nc,No-Show\n")

    made, reasons = await imported(tmp_path / "rows.csv", mapping(tmp_path))

    assert [request.outcome.success for request in made] == [True, False]
    assert [reason.code for reason in reasons] == ["NOT_AN_ANSWER"]


async def test_a_text_in_a_workbook_is_no_number_with_a_point(tmp_path: Path) -> None:
    """The text `1.200` has two readings, the number 1.234 one; a sheet's wrong size hides no column."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for cells in (["site", "won", "spent"], ["a", "yes", "1.200"], ["b", "yes", 1.234]):
        sheet.append(cells)
    book.save(tmp_path / "rows.xlsx")
    (tmp_path / "rows.jsonl").write_text(
        '{"site":"a","won":"yes","spent":"1.200"}\n{"site":"b","won":"yes","spent":1.234}\n'
    )

    for name in ("rows.xlsx", "rows.jsonl"):
        made, reasons = await imported(tmp_path / name, mapping(tmp_path, dollar_value="spent"))

        assert [request.insight.dollar_value for request in made] == [1.234]
        assert [reason.code for reason in reasons] == ["AMBIGUOUS_NUMBER"]


async def test_a_header_is_found_by_its_words_and_is_no_row_where_it_repeats(
    tmp_path: Path,
) -> None:
    """Hard blanks and case in a header, its repetition on each page, and lines that end as on old Macs."""
    (tmp_path / "rows.csv").write_bytes("SITE,Won\u00a0\ra,yes\rSITE,Won\u00a0\rb,no\r".encode())

    made, reasons = await imported(tmp_path / "rows.csv", mapping(tmp_path))

    assert [request.account_id for request in made] == ["spa-a", "spa-b"]
    assert [reason.code for reason in reasons] == ["REPEATED_HEADER"]


async def test_a_line_of_totals_is_no_row(tmp_path: Path) -> None:
    """Its sum would be another business's, beside the rows that it adds up."""
    (tmp_path / "rows.csv").write_text("site,won\na,yes\nTotal,yes\n")

    made, reasons = await imported(tmp_path / "rows.csv", mapping(tmp_path))

    assert ([request.account_id for request in made], [reason.code for reason in reasons]) == (
        ["spa-a"],
        ["TOTALS_LINE"],
    )


async def test_formulas_without_values_and_charts_are_no_empty_cells(tmp_path: Path) -> None:
    """A program that calculates nothing leaves amounts out without a word; a chart is no sheet of rows."""
    book = Workbook()
    book.create_chartsheet("Chart").add_chart(BarChart())
    sheet = book.active
    assert sheet is not None
    for cells in (["site", "won", "spent"], ["a", "yes", 1]):
        sheet.append(cells)
    book.save(tmp_path / "rows.xlsx")
    sheet.append(["b", "yes", "=1+2"])
    book.save(tmp_path / "formulas.xlsx")

    made, _ = await imported(tmp_path / "rows.xlsx", mapping(tmp_path, dollar_value="spent"))
    with pytest.raises(ImportFailed, match="formulas"):
        await imported(tmp_path / "formulas.xlsx", mapping(tmp_path, dollar_value="spent"))

    assert [request.insight.dollar_value for request in made] == [1.0]


async def test_a_declared_encoding_that_garbles_is_refused(tmp_path: Path) -> None:
    """UTF-8 read as cp1252 makes names that the anonymizer does not find; half a character is no text."""
    (tmp_path / "rows.csv").write_text("site,won\nn\u00f6rth,yes\n", encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text(
        '{"site":"\\ud800","won":"yes"}\n{"site":"a","won":"yes"}\n'
    )

    with pytest.raises(ImportFailed, match="it is UTF-8"):
        await imported(tmp_path / "rows.csv", mapping(tmp_path, csv={"encoding": "cp1252"}))
    made, reasons = await imported(tmp_path / "rows.jsonl", mapping(tmp_path))

    assert (len(made), [reason.code for reason in reasons]) == (1, ["NOT_JSON"])


async def test_percentages_are_read_where_the_mapping_says_what_they_are(tmp_path: Path) -> None:
    """The column's other cells decide the decimal mark of a percentage as of any number."""
    file = tmp_path / "rows.csv"
    file.write_text('site,won,rate\nnorth,yes,"1,125%"\nsouth,no,"12,5%"\n')
    chosen = mapping(
        tmp_path, outcome={"success": {"column": "won", "equals": "yes"},
                           "response_rate": {"column": "rate", "percent": "share"}}
    )  # fmt: skip

    made, reasons = await imported(file, chosen)

    assert reasons == []
    assert [request.outcome.response_rate for request in made] == [0.01125, 0.125]
