"""Is anything lost, doubled or miscounted when everything is killed?

    python -m bench.chaos                      ten minutes, another seed each time
    python -m bench.chaos --seconds 60 --seed 1

Several servers work on one database; callers capture, ask, report and react under request ids and repeat each call until
it is acknowledged; followers of StreamEmergingPatterns resume by their tokens. One server reads from a streaming standby.
Meanwhile servers, PostgreSQL and the standby are killed, stopped, frozen, delayed and cut off, in an order that the seed
decides. What was shown is shown by every server two seconds later. At the end the ledger is held against what was
acknowledged, all counts against those of `keeper rebuild`, the histories of the followers against the table of events,
and the servers against each other. It prints what happened, and exits with 1 when anything is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

# Before grpc is imported: PostgreSQL's processes are forked while calls are under way.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from rich.console import Console
from rich.table import Table

from bench.chaos.run import Options, Report, chaos
from keeper_grpc import logs

SHOWN = 40
"""Violations that are printed."""


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.chaos", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=None, help="another one each time unless set")
    parser.add_argument("--faults", type=int, default=None, help="end after so many")
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--callers", type=int, default=12)
    parser.add_argument(
        "--pause", type=float, default=0.02, help="seconds of each caller between calls"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the directory, with logs and database"
    )
    arguments = parser.parse_args()
    seed = secrets.randbelow(10**6) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    logs.configure("critical", "console")
    place = Path(tempfile.mkdtemp(prefix="keeper-chaos-", dir="/tmp"))
    place.chmod(0o755)
    options = Options(
        seed=seed,
        seconds=arguments.seconds,
        most_faults=arguments.faults,
        servers=arguments.servers,
        callers=arguments.callers,
        pause=arguments.pause,
    )
    try:
        report = asyncio.run(chaos(options, place))
    finally:
        if arguments.keep:
            print(f"kept: {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)
    show(report)
    sys.exit(1 if report.violations else 0)


def show(report: Report) -> None:
    """Print what happened, and what must not have."""
    table = Table(title="chaos", show_header=False)
    for kind, number in report.faults.items():
        table.add_row(kind.value, str(number))
    for section in (report.figures, report.book.refusals, report.troubles):
        table.add_section()
        for name, figure in section.items():
            table.add_row(name, str(figure))
    Console(width=110).print(table)
    print(f"violations: {len(report.violations)}", *report.violations[:SHOWN], sep="\n  ")


if __name__ == "__main__":
    main()
