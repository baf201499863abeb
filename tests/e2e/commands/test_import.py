from __future__ import annotations

import re
import subprocess
from pathlib import Path

import asyncpg
import pytest

from tests import program
from tests.e2e.server_process import REPOSITORY, ServerProcess, bundled_dsn, environment

EXAMPLES = REPOSITORY / "examples" / "import"
MAPPING = EXAMPLES / "mapping.yaml"


def keeper(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `keeper import`."""
    return program.run(["import", *arguments], env=environment())


def count(output: str, name: str) -> int:
    """A number of the summary."""
    found = re.search(rf"^ {name} +([\d,]+)", output, re.MULTILINE)
    assert found, output
    return int(found[1].replace(",", ""))


async def test_history_is_captured_once_however_often_it_is_imported(
    server: ServerProcess, tmp_path: Path
) -> None:
    """The example becomes patterns; a second run is all replays; no guest's name is in the database."""
    history = tmp_path / "history.csv"
    history.write_bytes((EXAMPLES / "history.csv").read_bytes())
    importing = (history, "--mapping", MAPPING, "--target", server.address)

    first = keeper(*importing)
    second = keeper(*importing)

    assert (first.returncode, first.stderr) == (0, "")
    assert count(first.stdout, "rows") == 24
    assert count(first.stdout, "captured, recorded") >= 1
    assert (
        count(first.stdout, "captured, recorded") + count(first.stdout, "captured, merged")
    ) == 23
    assert count(first.stdout, "skipped") == 1
    assert second.returncode == 0
    assert (count(second.stdout, "replayed"), count(second.stdout, "captured, recorded")) == (23, 0)
    assert not (tmp_path / "history.csv.keeper-import.json").exists()
    connection = await asyncpg.connect(bundled_dsn(Path(server.data_dir)))
    rows = await connection.fetch(
        "SELECT o.*::text FROM observations o JOIN accounts a USING (account_key)"
        " WHERE o.occurred_time < '2025-07-01'"
    )
    await connection.close()
    assert len(rows) == 23
    assert not re.search("Seraphina|Fennimore|internal note", str(rows))


def test_rejected_rows_make_exit_code_3(server: ServerProcess, tmp_path: Path) -> None:
    """What the mapping cannot read and what the server refuses is reported without its content."""
    lines = (EXAMPLES / "history.csv").read_text().splitlines()
    lines[1] = lines[1].replace("came back", "Quillmoss")
    lines[2] = lines[2].replace("2025-", "2085-")
    history = tmp_path / "history.csv"
    lines[3] = lines[3].replace("old-town", "old\u200btown")
    history.write_text("\n".join(lines[:5]) + "\n")
    report = tmp_path / "rejects.jsonl"

    done = keeper(history, "--mapping", MAPPING, "--target", server.address, "--rejects", report)

    assert done.returncode == 3
    assert count(done.stdout, "rejected") == 3
    found = re.findall(r'"row": (\d+)|"code": "([A-Z_]+)"', report.read_text())
    assert found == [
        *(("1", ""), ("", "NOT_AN_ANSWER")),
        *(("2", ""), ("", "INVALID_REQUEST")),
        *(("3", ""), ("", "INVALID_REQUEST")),
    ]
    assert '"field": "account_id"' in report.read_text()
    assert "old" not in report.read_text()
    assert "Quillmoss" not in done.stdout + done.stderr + report.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--mapping", "nowhere.yaml"), 1, "nowhere.yaml: No such file"),
        (("--mapping", MAPPING, "--target", "127.0.0.1:1", "--patience", "1"), 1, "no server at"),
        (("--mapping", MAPPING, "--concurrency", "0"), 2, "is not a whole number from 1 to 1000"),
        ((), 2, "--mapping"),
    ],
)
def test_import_that_cannot_run_says_why(
    tmp_path: Path, arguments: tuple[str | Path, ...], code: int, said: str
) -> None:
    """An operator's mistake is one line on stderr, with the exit code of its kind."""
    done = keeper(EXAMPLES / "history.csv", "--state", tmp_path / "state", *arguments)

    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_check_sends_nothing(tmp_path: Path) -> None:
    """--check maps every row without a server, and tells what would be rejected."""
    history = tmp_path / "history.csv"
    history.write_text((EXAMPLES / "history.csv").read_text().replace("declined", "perhaps"))

    done = keeper(history, "--mapping", MAPPING, "--check", "--target", "127.0.0.1:1")

    assert done.returncode == 3
    assert count(done.stdout, "  outcome.success NOT_AN_ANSWER") == count(done.stdout, "rejected")
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]
