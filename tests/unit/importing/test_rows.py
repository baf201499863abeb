from __future__ import annotations

from pathlib import Path

from keeper_grpc.importing.files.rows import Source
from tests.unit.importing.mappings import mapping


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
    """A line that is no row is reported by its number, and the next one is read."""
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
