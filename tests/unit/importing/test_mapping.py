from __future__ import annotations

import contextlib
import json
import tracemalloc
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from google.protobuf.json_format import MessageToDict

from keeper_grpc.importing.build import build, skipped
from keeper_grpc.importing.failure import ImportFailed, RowRejected
from keeper_grpc.importing.files.rejects import Rejects
from keeper_grpc.importing.files.rows import Source
from keeper_grpc.importing.files.state import Progress, StateFile
from keeper_grpc.importing.identity import RequestIds
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.run import Options, run
from keeper_grpc.importing.tally import Tally

EXAMPLES = Path(__file__).parents[3] / "examples" / "import"

LEAST: dict[str, Any] = {
    "name": "test",
    "account_id": "spa-{site}",
    "type": "churn_prevention",
    "action": "Send a reminder",
    "confidence": 0.5,
    "outcome": {"success": {"column": "won", "equals": "yes"}},
}
"""The least that a mapping says."""

ROW = {"site": "north", "won": "yes", "days": "60", "member": "Y", "spent": "120.50", "when": ""}


def mapping(tmp_path: Path, **entries: Any) -> Mapping:
    """LEAST with these entries, from a file."""
    file = tmp_path / "map.yaml"
    file.write_text(yaml.safe_dump(LEAST | entries))
    return Mapping.load(file)


def request(chosen: Mapping, **cells: str) -> dict[str, Any]:
    """What ROW, with these cells, becomes."""
    return MessageToDict(build(chosen, ROW | cells, uuid4()), preserving_proto_field_name=True)


def rejection(chosen: Mapping, **cells: str) -> list[tuple[str, str]]:
    """Why ROW, with these cells, is rejected: places and codes."""
    with pytest.raises(RowRejected) as caught:
        build(chosen, ROW | cells, uuid4())
    return [(reason.field, reason.code) for reason in caught.value.reasons]


@pytest.mark.parametrize(
    ("entry", "cells", "expected"),
    [
        ("days", {}, "60"),
        ({"column": "days", "as": "number"}, {}, 60.0),
        ({"column": "member", "as": "boolean"}, {}, True),
        ({"column": "days", "bands": [30, 60, 90]}, {}, "60 to under 90"),
        ({"column": "days", "bands": [30, 60, 90]}, {"days": "29.5"}, "under 30"),
        ({"column": "days", "bands": [30, 60, 90]}, {"days": "90"}, "90 and over"),
        ({"column": "member", "map": {"Y": "member"}}, {}, "member"),
        ({"column": "member", "map": {"Y": "a"}, "otherwise": "b"}, {"member": "?"}, "b"),
        ({"constant": "spring"}, {}, "spring"),
        ("days", {"days": ""}, None),
        ({"column": "days", "missing": ["999"]}, {"days": "999"}, None),
    ],
)
def test_condition_is_read_as_the_mapping_says(
    tmp_path: Path, entry: object, cells: dict[str, str], expected: object
) -> None:
    """A cell becomes a text, a number, a boolean, a band or a label; an unknown one is left out."""
    made = request(mapping(tmp_path, conditions={"key": entry}), **cells)

    assert made["insight"].get("conditions", {}).get("key") == expected


@pytest.mark.parametrize(
    ("entry", "cells", "expected"),
    [
        ("when", {"when": "2024-03-01"}, datetime(2024, 3, 1, tzinfo=UTC)),
        (
            {"column": "when", "timezone": "America/New_York"},
            {"when": "2024-03-01 09:00"},
            datetime(2024, 3, 1, 14, tzinfo=UTC),
        ),
        (
            {"column": "when", "format": "%d.%m.%Y"},
            {"when": "01.03.2024"},
            datetime(2024, 3, 1, tzinfo=UTC),
        ),
        (
            {"column": "when", "format": "unix"},
            {"when": "1709251200"},
            datetime(2024, 3, 1, tzinfo=UTC),
        ),
        (
            {"column": "days", "days_before": datetime(2024, 4, 30, tzinfo=UTC).date()},
            {},
            datetime(2024, 3, 1, 12, tzinfo=UTC),
        ),
    ],
)
def test_time_is_read_as_the_mapping_says(
    tmp_path: Path, entry: object, cells: dict[str, str], expected: datetime
) -> None:
    """ISO, a format of its own, seconds since 1970, or days before a date: all become UTC."""
    made = build(mapping(tmp_path, occurred_time=entry), ROW | cells, uuid4())

    assert made.occurred_time.ToDatetime(UTC) == expected


def test_texts_are_filled_with_columns(tmp_path: Path) -> None:
    """A template takes columns in braces, and a doubled brace stays one for the API."""
    made = request(
        mapping(
            tmp_path,
            action={"column": "member", "map": {"Y": "Offer {days} days"}, "otherwise": "Call"},
            script="Hi {{name}}, {site} misses you",
        )
    )

    assert made["account_id"] == "spa-north"
    assert made["insight"]["action"] == "Offer 60 days"
    assert made["insight"]["script"] == "Hi {name}, north misses you"


def test_optional_text_without_its_column_is_left_out(tmp_path: Path) -> None:
    """A script whose column is empty is no reason to lose the outcome."""
    made = request(mapping(tmp_path, script="About {days} days"), days="")

    assert "script" not in made["insight"]


def test_outcome_measures_are_optional(tmp_path: Path) -> None:
    """A measured revenue is sent, an empty one is not measured, and a failure counts."""
    outcome = LEAST["outcome"] | {
        "revenue_impact": "spent",
        "customer_retained": {"column": "days", "at_least": 60},
    }
    chosen = mapping(tmp_path, outcome=outcome)

    assert request(chosen)["outcome"] == {
        "success": True,
        "revenue_impact": 120.5,
        "customer_retained": True,
    }
    assert request(chosen, won="no", spent="", days="")["outcome"] == {}


def test_identifiers_come_from_columns(tmp_path: Path) -> None:
    """Cells that hold names are declared, empty ones are not."""
    chosen = mapping(tmp_path, identifiers={"customer_names": ["site", "when"]})

    assert request(chosen)["identifiers"] == {"customer_names": ["north"]}


def test_row_is_rejected_for_all_reasons_at_once(tmp_path: Path) -> None:
    """Each place that cannot be filled is named, with a code."""
    chosen = mapping(
        tmp_path,
        action={"column": "member", "map": {"N": "Call"}},
        conditions={"days": {"column": "days", "as": "number"}},
        outcome={"success": {"column": "won", "equals": "yes", "fails": ["no"]}},
        occurred_time="when",
    )

    assert rejection(chosen, days="many", site="", won="maybe", when="once") == [
        ("action", "NOT_IN_MAP"),
        ("conditions.days", "NOT_A_NUMBER"),
        ("outcome.success", "NOT_AN_ANSWER"),
        ("account_id", "EMPTY_CELL"),
        ("occurred_time", "NOT_A_TIME"),
    ]
    assert ("outcome.success", "EMPTY_CELL") in rejection(chosen, won="")


def test_reasons_do_not_repeat_what_the_row_holds(tmp_path: Path) -> None:
    """No reason quotes a cell: it may be somebody's name."""
    chosen = mapping(
        tmp_path,
        conditions={
            "a": {"column": "days", "as": "number"},
            "b": {"column": "days", "map": {"x": 1}},
        },
        occurred_time="days",
    )
    with pytest.raises(RowRejected) as caught:
        build(chosen, ROW | {"days": "Quillmoss"}, uuid4())

    assert len(caught.value.reasons) == 3
    assert "Quillmoss" not in repr([reason.as_dict() for reason in caught.value.reasons])


@pytest.mark.parametrize(
    ("rule", "left_out"),
    [
        ({"column": "won", "equals": "yes"}, True),
        ({"column": "won", "in": ["no", "maybe"]}, False),
        ({"column": "when", "empty": True}, True),
    ],
)
def test_skip_rules_leave_rows_out(tmp_path: Path, rule: object, left_out: bool) -> None:
    """A rule looks at one column: a value, one of several, or nothing in it."""
    assert skipped(mapping(tmp_path, skip=[rule]), ROW) is left_out


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"actoin": "Call"}, "actoin: Extra inputs"),
        (
            {"outcome": {"success": {"column": "won", "equals": True}}},
            "outcome.success.equals: .*quot",
        ),
        ({"outcome": {"success": {"column": "won"}}}, "outcome.success: exactly one of equals, in"),
        (
            {"conditions": {"key": {"column": "days", "bands": [3, 1]}}},
            "conditions.key: bands must",
        ),
        (
            {"conditions": {"key": {"column": "a", "constant": "b"}}},
            "conditions.key: exactly one of",
        ),
        ({"action": "Call {days"}, r"action.template: .*brace"),
        ({"action": {"column": "days"}}, "action: column and map belong together"),
        ({"occurred_time": {"column": "a", "timezone": "Mars/Base"}}, "occurred_time: timezone"),
        ({"never_read": ["won"]}, 'outcome.success reads "won", which never_read forbids'),
        ({"confidence": "high", "name": ""}, "name: String should have at least 1"),
    ],
)
def test_wrong_mapping_names_the_place(tmp_path: Path, entries: dict[str, Any], said: str) -> None:
    """Every mistake is told with the file and the place in it."""
    with pytest.raises(ImportFailed, match=rf"map\.yaml: {said}"):
        mapping(tmp_path, **entries)


def test_key_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    """YAML would keep the last of two conditions silently."""
    file = tmp_path / "map.yaml"
    file.write_text(yaml.safe_dump(LEAST) + "name: other\n")

    with pytest.raises(ImportFailed, match='"name" stands twice'):
        Mapping.load(file)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", "site,won\nnorth,yes\n"),
        ("rows.jsonl", '{"site": "north"}\n{"won": true}\n'),
    ],
)
def test_unknown_column_is_found_before_anything_is_read(
    tmp_path: Path, name: str, content: str
) -> None:
    """A column that the file lacks is told with the place that names it and its nearest neighbour."""
    file = tmp_path / name
    file.write_text(content)
    Source(file, None, mapping(tmp_path)).check()

    with pytest.raises(
        ImportFailed, match=r'row_id: .* has no column "sit"; did you mean "site"\?'
    ):
        Source(file, None, mapping(tmp_path, row_id="sit")).check()


def test_rows_of_both_formats_are_the_same(tmp_path: Path) -> None:
    """CSV with a byte order mark, quotes and an empty line, and JSON with types, give equal cells."""
    (tmp_path / "rows.csv").write_bytes(
        b'\xef\xbb\xbfsite,won,note\n"north",yes,"two\nlines"\n\nsouth,true,\n'
    )
    (tmp_path / "rows.jsonl").write_text(
        '{"site": "north", "won": "yes", "note": "two\\nlines"}\n\n'
        '{"site": "south", "won": true, "note": null}\n'
    )
    chosen = mapping(tmp_path)

    rows = {
        name: [row.cells for row in Source(tmp_path / name, None, chosen).rows()]
        for name in ("rows.csv", "rows.jsonl")
    }

    assert rows["rows.csv"] == rows["rows.jsonl"]
    assert rows["rows.csv"][1] == {"site": "south", "won": "true", "note": ""}


def test_unreadable_lines_are_rows_with_a_reason(tmp_path: Path) -> None:
    """A line that is no row is told by its number, and the next one is read."""
    (tmp_path / "rows.csv").write_text('site,won\na\nb,"yes"x\nc,yes\n')
    (tmp_path / "rows.jsonl").write_text('{"site"\n[1]\n{"site": {"id": 7.50}}\n')
    chosen = mapping(tmp_path)

    rows = [
        [(row.number, row.unreadable and row.unreadable.code, row.cells) for row in source.rows()]
        for source in (
            Source(tmp_path / "rows.csv", None, chosen),
            Source(tmp_path / "rows.jsonl", None, chosen),
        )
    ]

    assert rows[0] == [
        (1, "WRONG_CELL_COUNT", {}),
        (2, "NOT_CSV", {}),
        (3, None, {"site": "c", "won": "yes"}),
    ]
    assert rows[1] == [
        (1, "NOT_JSON", {}),
        (2, "NOT_AN_OBJECT", {}),
        (3, None, {"site.id": "7.50"}),
    ]


def test_columns_that_are_never_read_are_not_there(tmp_path: Path) -> None:
    """Neither a request nor a row's identity can hold what never_read names."""
    (tmp_path / "rows.csv").write_text("site,won,duration\na,yes,17\n")
    chosen = mapping(tmp_path, never_read=["duration"])

    (row,) = Source(tmp_path / "rows.csv", None, chosen).rows()

    assert row.cells == {"site": "a", "won": "yes"}


def ids(chosen: Mapping, *rows: dict[str, str]) -> list[str]:
    """The request ids of rows, in order."""
    with RequestIds(chosen) as names:
        return [str(names.of(row)) for row in rows]


def test_request_ids_belong_to_the_rows(tmp_path: Path) -> None:
    """The same row has the same id in every file; equal rows have one each."""
    chosen = mapping(tmp_path)
    one, two = {"a": "1", "b": "x"}, {"a": "2", "b": ""}

    first = ids(chosen, one, two, one)

    assert len(set(first)) == 3
    assert ids(chosen, {"a": "2"}, {"b": "x", "a": "1"}, one) == [first[1], first[0], first[2]]
    assert not set(ids(mapping(tmp_path, name="other"), one, two, one)) & set(first)


def test_row_id_columns_decide_alone(tmp_path: Path) -> None:
    """With row_id, a corrected row keeps its id, and the server refuses to count it again."""
    chosen = mapping(tmp_path, row_id=["site"])

    first, second, other = ids(chosen, ROW, ROW | {"days": "61"}, ROW | {"site": "south"})

    assert first == second != other


def test_state_is_believed_for_the_same_mapping_and_beginning_only(tmp_path: Path) -> None:
    """An appended file goes on; a changed line or mapping begins anew."""
    file = tmp_path / "rows.csv"
    file.write_text("site,won\na,yes\nb,no\n")
    chosen = mapping(tmp_path)
    source = Source(file, None, chosen)
    tally = Tally(rows=1, captured=Counter(created=1))
    StateFile(tmp_path / "state", tmp_path / "map.yaml", source).save(
        Progress(1, 1, tally), next(source.rows()).mark
    )

    def loaded() -> Progress | None:
        return StateFile(
            tmp_path / "state", tmp_path / "map.yaml", Source(file, None, chosen)
        ).load()

    assert loaded() == Progress(1, 1, tally)
    file.write_text("site,won\na,yes\nc,no\nd,yes\n")
    assert loaded() == Progress(1, 1, tally)
    file.write_text("site,won\na,no\nb,no\n")
    assert loaded() is None
    file.write_text("site,won\na,yes\n")
    (tmp_path / "map.yaml").write_text("name: other\n")
    assert loaded() is None
    (tmp_path / "state").write_text("torn")
    assert loaded() is None


def test_report_of_a_resumed_import_has_each_row_once(tmp_path: Path) -> None:
    """What an interrupted run reported beyond its state is reported again, not twice."""
    path = tmp_path / "rejects.jsonl"
    with contextlib.suppress(InterruptedError), Rejects(path, keep=0) as rejects:
        for row in (2, 5, 9):
            rejects.add(row, [])
        raise InterruptedError
    with Rejects(path, keep=5) as rejects:
        rejects.add(9, [])

    assert [json.loads(line)["row"] for line in path.read_text().splitlines()] == [2, 5, 9]


@pytest.mark.parametrize("row_id", [[], ["n"]])
async def test_memory_does_not_grow_with_the_file(
    tmp_path: Path, row_id: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten times the rows are read, named and mapped in the same memory."""
    mapping(tmp_path, row_id=row_id)
    peaks = []
    for count in (500, 5_000):
        file = tmp_path / f"{count}.csv"
        file.write_text("n,site,won\n" + "".join(f"{n},s{n % 7},yes\n" for n in range(count)))
        tracemalloc.start()
        tally = await run(Options(file, tmp_path / "map.yaml", check=True))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert tally.rows == count

    assert peaks[1] < peaks[0] + 100_000


@pytest.mark.parametrize("name", ["mapping.yaml", "bank_marketing.mapping.yaml"])
def test_examples_are_valid(name: str) -> None:
    """The mappings that the documentation shows load."""
    Mapping.load(EXAMPLES / name)


def test_bank_example_keeps_outcome_and_duration_out() -> None:
    """Neither what came of the call nor how long it took is in what the network learns from."""
    chosen = Mapping.load(EXAMPLES / "bank_marketing.mapping.yaml")

    asked = {column for place, column in chosen.places() if not place.startswith("outcome")}

    assert chosen.never_read == ["duration"]
    assert asked - {"duration"} == {"job", "month", "poutcome", "contact"}
