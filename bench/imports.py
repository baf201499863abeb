"""A long history through `keeper import` and a server of its own: rows a second, and memory on both sides.

    python -m bench.imports [--rows 1000000] [--minutes 25] [--concurrency 64]

The history is invented: rows of 200 accounts in three lines of business, some thousands of situations, and no two
rows alike. Every ten seconds it notes how many rows are done, and the resident memory of the import, of the server's
process and of PostgreSQL's processes together (which share their buffers, so that the sum counts those more than
once). An import that takes longer than `--minutes` is interrupted as an operator would, with SIGINT.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.calls.network import action
from bench.calls.processes import directory, family

ACCOUNTS = 200
CATEGORIES = ("spa", "salon", "gym")
ACTIONS = 60
SUCCESS = 0.6
EVERY = 10.0
START = 180.0
DAYS = 200
DRAIN = 120.0
MAPPING = """\
name: bench-imports
account_id: "bench-{account}"
type: churn_prevention
business_category: "{category}"
action: "{action}"
confidence: 0.5
dollar_value: value
conditions:
  days_since_visit: {column: days, as: number}
  visit_count: {column: visits, as: number}
  membership_tier: tier
row_id: number
outcome:
  success: {column: success, equals: "1", fails: ["0"]}
  revenue_impact: revenue
occurred_time: {column: days_ago, days_before: DAY}
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was resident, in MB, when so many rows were done."""

    rows: int
    importing: float
    serving: float
    database: float


def write_history(path: Path, rows: int) -> None:
    """The history, the same every time."""
    luck = random.Random(1)  # noqa: S311 - nothing is kept secret by it
    with path.open("w", encoding="utf-8", newline="") as file:
        sheet = csv.writer(file)
        sheet.writerow(
            [
                "number",
                "account",
                "category",
                "action",
                "days",
                "visits",
                "tier",
                "value",
                "success",
                "revenue",
                "days_ago",
            ]
        )
        for number in range(rows):
            account = luck.randrange(ACCOUNTS)
            success = luck.random() < SUCCESS
            sheet.writerow(
                (
                    number,
                    account,
                    CATEGORIES[account % len(CATEGORIES)],
                    action(luck.randrange(ACTIONS)),
                    luck.randrange(200),
                    luck.randrange(120),
                    luck.choice(("standard", "premium", "platinum", "none")),
                    luck.randrange(20, 900),
                    int(success),
                    luck.randrange(30, 200) if success else 0,
                    DAYS - number * DAYS // rows,
                )
            )


def resident(pid: int) -> float:
    """Resident memory of a process in MB; 0 once it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def command_of(pid: int) -> str:
    """The command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def sample(importer: int, server: int, rows: int) -> Sample:
    """What is resident now."""
    database = sum(resident(pid) for pid in family((server,)) if "postgres" in command_of(pid))
    return Sample(rows, resident(importer), resident(server), database)


def port_of(log: Path) -> int:
    """The port that the server logs. Raises TimeoutError."""
    until = time.monotonic() + START
    while time.monotonic() < until:
        for line in log.read_text(encoding="utf-8").splitlines():
            if '"serving"' in line:
                return int(json.loads(line)["port"])
        time.sleep(0.2)
    raise TimeoutError(f"no server within {START:g} s")


def samples_of(
    importer: subprocess.Popen[bytes], server: int, state: Path, seconds: float
) -> Iterator[Sample]:
    """A sample every ten seconds until the import ends, interrupted after so many seconds."""
    began = time.monotonic()
    for tick in itertools.count(1):
        try:
            importer.wait(max(0.0, began + tick * EVERY - time.monotonic()))
        except subprocess.TimeoutExpired:
            yield sample(importer.pid, server, rows_done(state))
        else:
            return
        if time.monotonic() - began >= seconds:
            importer.send_signal(signal.SIGINT)


def rows_done(state: Path) -> int:
    """The rows that the import's state file says are done; 0 before there is one."""
    try:
        return int(json.loads(state.read_text(encoding="utf-8"))["rows"])
    except (OSError, ValueError, KeyError):
        return 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--concurrency", type=int, default=64)
    arguments = parser.parse_args()
    with directory() as work:
        history, mapping, log = work / "history.csv", work / "mapping.yaml", work / "server.log"
        write_history(history, arguments.rows)
        mapping.write_text(MAPPING.replace("DAY}", "2026-06-30}"), encoding="utf-8")
        environment = {
            **os.environ,
            "KEEPER_DATA_DIR": str(work / "data"),
            "KEEPER_PORT": "0",
            "KEEPER_LOG_FORMAT": "json",
            "KEEPER_EMBEDDER": "local",
            "KEEPER_OPEN_ACCOUNTS": "true",
        }
        keeper = (sys.executable, "-m", "keeper_grpc.cli")
        with log.open("wb") as output:
            server = subprocess.Popen(
                (*keeper, "serve"), env=environment, stdout=output, stderr=output
            )
        try:
            run(arguments, server, (keeper, history, mapping, log))
        finally:
            server.terminate()
            server.wait(DRAIN)


def run(
    arguments: argparse.Namespace,
    server: subprocess.Popen[bytes],
    paths: tuple[tuple[str, ...], Path, Path, Path],
) -> None:
    """Import, and print a line every ten seconds and what came of it."""
    keeper, history, mapping, log = paths
    port = port_of(log)
    state = history.with_name("state.json")
    began = time.monotonic()
    importer = subprocess.Popen(
        (
            *(*keeper, "import", str(history), "--mapping", str(mapping), "--state", str(state)),
            *("--target", f"127.0.0.1:{port}", "--concurrency", str(arguments.concurrency)),
        ),
        stdin=subprocess.DEVNULL,
    )
    seen: list[Sample] = []
    for each in samples_of(importer, server.pid, state, arguments.minutes * 60):
        seen.append(each)
        print(
            f"{time.monotonic() - began:7.0f} s {each.rows:9,} rows  import {each.importing:5.0f} MB"
            f"  server {each.serving:5.0f} MB  PostgreSQL {each.database:6.0f} MB",
            flush=True,
        )
    seconds = time.monotonic() - began
    print(f"exit code {importer.returncode} after {seconds:.0f} s")
    if len(seen) > 1:
        half = seen[len(seen) // 2 :]
        print(f"{seen[-1].rows / seconds:.0f} rows/s, whole run")
        for name in ("importing", "serving", "database"):
            all_of = [getattr(each, name) for each in half]
            print(
                f"{name}: second half {min(all_of):.0f} to {max(all_of):.0f} MB,"
                f" median {statistics.median(all_of):.0f}"
            )


if __name__ == "__main__":
    main()
