from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from tests.e2e.dashboard.network import learn
from tests.e2e.server_process import REPOSITORY, ServerProcess, environment

ACTION = "Ring the bell for a free tea at the door"
"""Its type, too, is of no other test: they share the server, and the surest of each type is printed."""


def analyse(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the example."""
    return subprocess.run(
        [sys.executable, REPOSITORY / "examples" / "analysis.py", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


async def test_the_network_is_read_into_frames_and_saved(
    server: ServerProcess, tmp_path: Path
) -> None:
    """Patterns and days as CSV with a plot, and the surest of each type in print."""
    await learn(server.address, ACTION, kind="referral")
    out = tmp_path / "analysis"
    done = analyse("--target", server.address, "--category", "spa", "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert ACTION in done.stdout
    with (out / "patterns.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["action"] == ACTION]
    (row,) = rows
    assert (row["category"], row["rate"], row["cases"]) == ("spa", "0.75", "4")
    assert 0 < float(row["at_least"]) < 0.75
    with (out / "days.csv").open() as file:
        days = list(csv.DictReader(file))
    # Outcomes count in steps; that a pattern was discovered counts at once.
    assert sum(int(day["patterns_discovered"]) for day in days) >= 1
    assert (out / "patterns.png").read_bytes().startswith(b"\x89PNG")


def test_a_server_that_is_away_is_said_in_a_line() -> None:
    """Exit code 1, no traceback."""
    done = analyse("--target", "127.0.0.1:9")
    assert (done.returncode, done.stderr) == (1, "")
    assert "the network cannot be read" in done.stdout
