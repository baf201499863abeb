from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.importing.failure import ImportFailed
from keeper_grpc.importing.files.rejects import Rejects, is_report, partial_of
from keeper_grpc.importing.files.rows import Source
from keeper_grpc.importing.files.state import Progress, StateFile, is_state
from keeper_grpc.importing.mapping.mapping import Mapping
from keeper_grpc.importing.run import Options, run
from keeper_grpc.importing.tally import Tally

MAP = {
    "name": "test",
    "account_id": "{n}",
    "type": "churn_prevention",
    "business_category": "spa",
    "action": "Call",
    "confidence": 0.5,
    "outcome": {"success": {"column": "won", "equals": "yes", "fails": ["no"]}},
}

FOREIGN = (
    b"precious\n",
    b"{}",
    b"[1, 2]\n",
    b'{"row": 1}\n',
    b'{"row": 1, "reasons": [], "more": 1}\n',
    b'{"row": 1, "reasons": []}\nprecious\n',
    b'{"row": 1, "reasons": []}\n\n',
    b'{"version": 1, "mapping": "x"}',
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b" " * (2 << 20),
)
"""What other programs and people write."""


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """An import that no server waits for: one that gets beyond its files fails otherwise."""
    (tmp_path / "map.yaml").write_text(yaml.safe_dump(MAP))
    (tmp_path / "rows.csv").write_text("n,won\n1,yes\n2,perhaps\n")
    return Options(
        tmp_path / "rows.csv", tmp_path / "map.yaml", target="127.0.0.1:1", patience=0.01
    )


def contents(directory: Path) -> dict[str, bytes]:
    """Every file, links followed."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def writing(options: Options, option: str, path: Path) -> Options:
    """The import with its state or its report there."""
    if option == "state":
        return replace(options, state=path)
    return replace(options, rejects=path)


def symbolic_link(path: Path) -> Path:
    """Another name of the file, by a link in the same directory."""
    link = path.with_name(path.name + ".link")
    link.symlink_to(path.name)
    return link


def hard_link(path: Path) -> Path:
    """Another name of the file, which does not point to the first one."""
    link = path.with_name(path.name + ".hard")
    link.hardlink_to(path)
    return link


WRITTEN: dict[str, Callable[[Path], Path]] = {
    "as it is": lambda path: path,
    "relative": lambda path: Path(os.path.relpath(path)),
    "through its parent": lambda path: path.parent / ".." / path.parent.name / path.name,
}
LINKED: dict[str, Callable[[Path], Path]] = {"symbolic link": symbolic_link, "hard link": hard_link}


@pytest.mark.parametrize("check", [False, True], ids=["send", "check"])
@pytest.mark.parametrize("written", WRITTEN | LINKED)
@pytest.mark.parametrize("option", ["state", "rejects"])
@pytest.mark.parametrize("victim", ["file", "mapping"])
async def test_no_output_is_an_input(
    options: Options, victim: str, option: str, written: str, check: bool
) -> None:
    """However the path is written, the start is refused, and every file is what it was."""
    path = (WRITTEN | LINKED)[written](getattr(options, victim))
    before = contents(options.file.parent)
    with pytest.raises(ImportFailed, match=f"--{option} is the same file as"):
        await run(replace(writing(options, option, path), check=check))
    assert contents(options.file.parent) == before


@pytest.mark.parametrize("written", WRITTEN)
async def test_no_output_is_another_output(options: Options, tmp_path: Path, written: str) -> None:
    """State, report and the report's partial file are three, also before any of them is there."""
    before = contents(tmp_path)
    for state, rejects in (
        ("out", "out"),
        ("out.partial", "out"),
        (None, "rows.csv.keeper-import.json"),
    ):
        chosen = replace(
            options,
            state=None if state is None else WRITTEN[written](tmp_path / state),
            rejects=tmp_path / rejects,
        )
        with pytest.raises(ImportFailed, match="is the same file as --state"):
            await run(chosen)
    assert contents(tmp_path) == before


async def test_the_partial_file_of_the_report_is_no_input_either(
    options: Options, tmp_path: Path
) -> None:
    """A history that has the partial file's name is not emptied."""
    history = options.file.rename(tmp_path / "rejects.csv.partial")
    before = contents(tmp_path)
    with pytest.raises(
        ImportFailed, match="partial file of --rejects is the same file as the history"
    ):
        await run(
            replace(options, file=history, file_format="csv", rejects=tmp_path / "rejects.csv")
        )
    assert contents(tmp_path) == before


@pytest.mark.parametrize("check", [False, True], ids=["send", "check"])
@pytest.mark.parametrize(
    "name", ["state", "rejects", "rejects.partial", "rows.csv.keeper-import.json"]
)
@pytest.mark.parametrize("content", FOREIGN, ids=range(len(FOREIGN)))
async def test_a_file_that_no_import_wrote_is_not_replaced(
    options: Options, tmp_path: Path, content: bytes, name: str, check: bool
) -> None:
    """Neither by the state, at its own place too, nor by the report, nor by what becomes the report."""
    (tmp_path / name).write_bytes(content)
    before = contents(tmp_path)
    chosen = replace(options, rejects=tmp_path / "rejects", check=check)
    if name == "state":
        chosen = replace(chosen, state=tmp_path / "state")
    with pytest.raises(ImportFailed, match="would replace a file that no import wrote"):
        await run(chosen)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("option", ["state", "rejects"])
async def test_the_file_that_standard_output_goes_to_is_not_replaced(
    options: Options, tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`keeper import ... --rejects /dev/stdout > out` would lose the summary, or the report."""
    redirected = os.open(tmp_path / "out", os.O_CREAT | os.O_WRONLY)
    kept = os.dup(1)
    os.dup2(redirected, 1)
    try:
        with pytest.raises(ImportFailed, match=f"--{option} is the same file as standard output"):
            await run(writing(options, option, Path("/dev/stdout")))
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(redirected)


@pytest.mark.parametrize("name", ["/", ".", ""])
async def test_a_history_without_a_file_name_is_refused(options: Options, name: str) -> None:
    """With a line: a directory is no history, and the state has no name beside it."""
    with pytest.raises(ImportFailed, match="directory"):
        await run(replace(options, file=Path(name), file_format="csv"))


@pytest.mark.parametrize("option", ["state", "rejects"])
async def test_what_is_no_regular_file_is_not_replaced(
    options: Options, tmp_path: Path, option: str
) -> None:
    """A rename would put a file in the place of /dev/null, a directory or a pipe."""
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/null"), tmp_path, tmp_path / "pipe"):
        with pytest.raises(ImportFailed, match="must be a regular file"):
            await run(writing(options, option, path))


async def test_a_check_writes_no_file(
    options: Options, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the report nor the state; an earlier report stays what it was."""
    (tmp_path / "rejects").write_bytes(b'{"row": 7, "reasons": []}\n')
    before = contents(tmp_path)
    tally = await run(replace(options, rejects=tmp_path / "rejects", check=True))
    assert tally.rejected == 1
    assert contents(tmp_path) == before
    assert "NOT_AN_ANSWER" in capsys.readouterr().out


def test_the_old_report_is_whole_until_the_new_one_is(tmp_path: Path) -> None:
    """Also when the process is killed; a link to it stays a link."""
    report = tmp_path / "rejects"
    old = b'{"row": 7, "reasons": []}\n'
    report.write_bytes(old)
    with contextlib.suppress(InterruptedError), Rejects(report, keep=0) as rejects:
        rejects.add(1, [])
        rejects.flush()
        assert report.read_bytes() == old
        raise InterruptedError
    assert report.read_bytes() == old
    assert is_report(partial_of(report))
    with Rejects(report, keep=1) as rejects:
        rejects.add(2, [])
        assert report.read_bytes() == old
    rows = [json.loads(line)["row"] for line in report.read_text().splitlines()]
    assert rows == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["rejects"]


def test_a_file_that_came_while_the_import_ran_is_not_replaced(tmp_path: Path) -> None:
    """The report stays beside it, and the line says where."""
    report = tmp_path / "rejects"
    rejects = Rejects(report, keep=0)
    rejects.__enter__()
    rejects.add(1, [])
    report.write_bytes(b"precious\n")
    with pytest.raises(ImportFailed, match=r"the report is .*rejects\.partial"):
        rejects.__exit__(None, None, None)
    assert report.read_bytes() == b"precious\n"
    assert is_report(partial_of(report))


def saved_state(tmp_path: Path, options: Options) -> tuple[StateFile, Source]:
    """A state file with one save."""
    source = Source(options.file, None, Mapping.load(options.mapping))
    state = StateFile(tmp_path / "state", options.mapping, source)
    state.save(Progress(1, 1, Tally(rows=1)), next(source.rows()).mark)
    return state, source


def test_the_old_state_is_whole_when_the_new_one_cannot_be_written(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk leaves the state of a second ago, and nothing beside it."""
    state, source = saved_state(tmp_path, options)
    before = contents(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ImportFailed, match="No space left"):
        state.save(Progress(2, 1, Tally(rows=2)), next(source.rows()).mark)
    assert contents(tmp_path) == before


def test_a_report_that_the_disk_does_not_take_ends_the_import_with_a_line(tmp_path: Path) -> None:
    """Of rows that are not on disk the state must not say that they are done."""
    report = tmp_path / "rejects"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        rejects = Rejects(report, keep=0)
        rejects.__enter__()
        rejects.add(1, [])
        with pytest.raises(ImportFailed, match=r"rejects\.partial: File too large"):
            rejects.flush()
        with pytest.raises(ImportFailed, match=r"rejects\.partial: File too large"):
            rejects.__exit__(None, None, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert not report.exists()


def test_an_import_knows_its_own_files(options: Options, tmp_path: Path) -> None:
    """What it wrote may be replaced, and so may an empty file, such as mktemp makes."""
    saved_state(tmp_path, options)
    assert is_state(tmp_path / "state")
    assert not is_report(tmp_path / "state")
    with Rejects(tmp_path / "rejects", keep=0) as rejects:
        rejects.add(3, [])
    assert is_report(tmp_path / "rejects")
    assert not is_state(tmp_path / "rejects")
    (tmp_path / "empty").touch()
    assert is_state(tmp_path / "empty")
    assert is_report(tmp_path / "empty")


@given(rows=st.lists(st.integers(1, 10**9), max_size=4), cut=st.integers(0, 200))
def test_a_report_of_a_killed_import_is_its_own(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int], cut: int
) -> None:
    """Wherever the last line was torn."""
    path = tmp_path_factory.mktemp("torn") / "rejects"
    with Rejects(path, keep=0) as rejects:
        for row in rows:
            rejects.add(row, [])
    path.write_bytes(path.read_bytes()[:cut])
    assert is_report(path)
