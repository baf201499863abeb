from __future__ import annotations

import csv
import json
import subprocess
import tempfile
from pathlib import Path

from tests import program
from tests.e2e.server_process import environment

MAPPING = """
name: backtest-of-a-test
account_id: "salon-{Location}"
type: churn_prevention
business_category: salon
conditions:
  days_since_visit: {column: Days, as: number}
action: "{Action}"
confidence: 0.6
outcome:
  success: {column: Status, equals: Completed}
occurred_time: Day
"""

GOOD = "Send a personal reminder with a discount"
BAD = "Post a picture of the new chairs"


def keeper(*arguments: str | Path, temporary: Path) -> subprocess.CompletedProcess[str]:
    """Run `keeper backtest`, which finds its place for temporary files below the test's."""
    return program.run(["backtest", *arguments], env=environment() | {"TMPDIR": str(temporary)})


def history(path: Path, *, locations: int = 6, days: int = 10) -> Path:
    """One action that works nine times of ten and one that works once; each location does both every day."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Day", "Location", "Days", "Action", "Status"])
        number = 0
        for day in range(days):
            for location in range(locations):
                for action, works in ((GOOD, number % 10 != 0), (BAD, number % 10 == 0)):
                    status = "Completed" if works else "No-Show"
                    writer.writerow([f"2025-03-{day + 1:02d}", location, 60, action, status])
                number += 1
    return path


def test_what_would_have_been_advised_is_held_against_what_happened(tmp_path: Path) -> None:
    """The good action is advised of the later rows, its rows did better, and nothing is left behind."""
    mapping = tmp_path / "map.yaml"
    mapping.write_text(MAPPING)
    temporary = Path(tempfile.mkdtemp(prefix="backtest-"))
    # Where root runs the test, PostgreSQL runs as another user.
    temporary.chmod(0o711)
    file = history(tmp_path / "history.csv")
    before = file.read_bytes()
    done = keeper(file, "--mapping", mapping, "--questions", "30", "--json", temporary=temporary)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["learned_rows"], found["later_rows"], found["asked_rows"]) == (84, 36, 30)
    assert (found["accounts"], found["left_out_rows"]) == (6, 0)
    assert found["split_time"].startswith("2025-03-07")
    assert found["advised_rows"] == 30
    (advice,) = found["advice"]
    assert advice["action"] == GOOD
    assert advice["expected_success_rate"] > 0.6
    as_advised, otherwise = found["done_as_advised"], found["done_otherwise"]
    assert as_advised["rows"] + otherwise["rows"] == 30
    assert as_advised["successes"] > otherwise["successes"]
    # Of the others the network answers with what works, so that nothing is expected of what was done.
    assert found["judged"] == as_advised
    assert list(temporary.iterdir()) == []
    temporary.rmdir()
    assert (file.read_bytes(), sorted(path.name for path in tmp_path.iterdir())) == (
        before,
        ["history.csv", "map.yaml"],
    )


def test_a_history_that_cannot_be_split_by_time_is_refused(tmp_path: Path) -> None:
    """Without a time in the mapping, or with one time in all rows; in a line that says what to do."""
    mapping = tmp_path / "map.yaml"
    mapping.write_text(MAPPING.replace("occurred_time: Day\n", ""))
    file = history(tmp_path / "history.csv", days=1)
    untimed = keeper(file, "--mapping", mapping, temporary=tmp_path)
    assert (untimed.returncode, untimed.stdout) == (1, "")
    assert "map occurred_time" in untimed.stderr
    mapping.write_text(MAPPING)
    one_day = keeper(file, "--mapping", mapping, temporary=tmp_path)
    assert one_day.returncode == 1
    assert "at least two times" in one_day.stderr
    assert "Traceback" not in untimed.stderr + one_day.stderr
