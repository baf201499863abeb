from __future__ import annotations

import contextlib
import gc
import json
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from keeper_grpc.importing.files.rejects import Rejects
from keeper_grpc.importing.files.rows import Source
from keeper_grpc.importing.files.state import Progress, StateFile
from keeper_grpc.importing.identity import RequestIds
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.run import Options, run
from keeper_grpc.importing.tally import Tally
from tests.unit.importing.mappings import ROW, mapping


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
    """An appended file resumes; a changed line or mapping starts from the beginning."""
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
    # What earlier tests left in this process would put off the collection of garbage.
    gc.collect()
    gc.freeze()
    peaks = []
    for count in (500, 5_000):
        file = tmp_path / f"{count}.csv"
        file.write_text("n,site,won\n" + "".join(f"{n},s{n % 7},yes\n" for n in range(count)))
        tracemalloc.start()
        tally = await run(Options(file, tmp_path / "map.yaml", check=True))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert tally.rows == count
    gc.unfreeze()

    assert peaks[1] < peaks[0] + 100_000
