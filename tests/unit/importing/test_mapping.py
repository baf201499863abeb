from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from keeper_grpc.importing.build import build, skipped
from keeper_grpc.importing.failure import ImportFailed, RowRejected
from keeper_grpc.importing.files.rows import Source
from keeper_grpc.importing.mapping.mapping import Mapping
from tests.unit.importing.mappings import LEAST, ROW, mapping, request

EXAMPLES = Path(__file__).parents[3] / "examples" / "import"


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
        "cost": "spent",
        "customer_retained": {"column": "days", "at_least": 60},
        "complained": {"column": "days", "at_least": 90},
        "unsubscribed": {"column": "days", "at_least": 60},
        "final": {"column": "days", "at_least": 90},
    }
    chosen = mapping(tmp_path, outcome=outcome)

    assert request(chosen)["outcome"] == {
        "success": True,
        "revenue_impact": 120.5,
        "cost": 120.5,
        "customer_retained": True,
        "complained": False,
        "unsubscribed": True,
        "final": False,
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
    """The error of every mistake names the file and the place in it."""
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
    """The error of a column that the file lacks names its place in the mapping and the nearest column."""
    file = tmp_path / name
    file.write_text(content)
    Source(file, None, mapping(tmp_path)).check()

    with pytest.raises(
        ImportFailed, match=r'row_id: .* has no column "sit"; did you mean "site"\?'
    ):
        Source(file, None, mapping(tmp_path, row_id="sit")).check()


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
