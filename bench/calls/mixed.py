"""Ten minutes of everything at once: whether memory stays flat, and whether anything fails.

    make .venv/bin/ghz && PATH=".venv/bin:$PATH" .venv/bin/python -m bench.calls.mixed --minutes 10

Engines ask and capture, known words and new ones, dashboards read, all at the same time, each by a load generator
of its own. After each turn of `TURN` seconds the service's resident memory is read. Printed are the calls, the
failures and the latencies of each kind, the memory over time, and how it grew a minute over the second half, when caches
have filled.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import numpy as np
import structlog
from rich.console import Console
from rich.table import Table

from bench.calls.filled import filled
from bench.calls.ghz import Ghz, Load
from bench.calls.measure import Kind, Measured
from bench.calls.processes import Processes, service
from bench.calls.requests import Requests

TURN = 15.0
"""Seconds of a turn."""

CALLERS = {
    "EnhanceInsight": 6,
    "EnhanceInsight, new": 1,
    "CapturePattern": 3,
    "CapturePattern, new": 1,
    "ReportReaction": 1,
    "ReportOutcome": 1,
    "GenerateTask": 1,
    "SuggestMoves": 1,
    "GetPattern": 1,
    "ListPatterns": 1,
    "GetNetworkMetrics": 1,
}
"""Callers of each kind: as many as keep two cores busy without a queue that hides what is slow."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The service's memory at a time since the start."""

    minutes: float
    megabytes: float


def turn(measured: Measured, generators: dict[str, Ghz], port: int) -> dict[str, Load]:
    """Every kind at once for `TURN` seconds."""
    kinds = {kind.name: kind for kind in measured.kinds() if kind.name in CALLERS}
    # Requests are made one after the other: they draw from one generator of random numbers.
    messages = {name: kind.messages() for name, kind in kinds.items()}

    def run(kind: Kind) -> Load:
        # More captures than a turn has time for: the same again would be a retry.
        return generators[kind.name].run(
            port,
            kind.method,
            messages[kind.name],
            CALLERS[kind.name],
            seconds=None if kind.once else TURN,
        )

    with ThreadPoolExecutor(len(kinds)) as pool:
        return dict(zip(kinds, pool.map(run, kinds.values()), strict=True))


def slope(moments: Sequence[Moment]) -> float:
    """Megabytes a minute over the second half of the moments."""
    late = moments[len(moments) // 2 :]
    return float(
        np.polyfit([each.minutes for each in late], [each.megabytes for each in late], 1)[0]
    )


def measure(
    minutes: float, patterns: int, settings: Mapping[str, str]
) -> tuple[dict[str, list[Load]], list[Moment]]:
    """The loads of all turns by kind, and the memory after each."""
    loads: dict[str, list[Load]] = defaultdict(list)
    moments: list[Moment] = []
    with filled(patterns) as (dsn, place), service(dsn, place, 1, settings) as served:
        generators = {name: Ghz(place / name) for name in CALLERS}
        measured = Measured(patterns, served, Processes((), 0), Ghz(place), Requests(1), dsn)
        measured.warm()
        moments.append(Moment(0.0, served.megabytes()))
        began = time.monotonic()
        while moments[-1].minutes < minutes:
            for name, load in turn(measured, generators, served.port).items():
                loads[name].append(load)
            passed = (time.monotonic() - began) / 60
            moments.append(Moment(passed, served.megabytes()))
            print(f"{passed:.1f} min, {moments[-1].megabytes:.0f} MB", flush=True)
    return loads, moments


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--patterns", type=int, default=10_000)
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the server"
    )
    arguments = parser.parse_args()
    settings = dict(each.split("=", 1) for each in arguments.set)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    loads, moments = measure(arguments.minutes, arguments.patterns, settings)
    table = Table(title=f"{arguments.minutes:g} minutes, {arguments.patterns:,} patterns")
    for heading in ("call", "callers", "calls", "failed", "p50 ms", "p99 ms, worst turn"):
        table.add_column(heading, justify="left" if heading == "call" else "right")
    for name, found in loads.items():
        table.add_row(
            name,
            str(CALLERS[name]),
            f"{sum(load.calls for load in found):,}",
            str(sum(load.failed for load in found)),
            f"{np.median([load.p50 for load in found]):.1f}",
            f"{max(load.p99 for load in found):.0f}",
        )
    console = Console()
    console.print(table)
    memory = Table(title="resident memory of the service")
    memory.add_column("minute", justify="right")
    memory.add_column("MB", justify="right")
    for each in moments:
        memory.add_row(f"{each.minutes:.1f}", f"{each.megabytes:.0f}")
    console.print(memory)
    console.print(f"{slope(moments):+.1f} MB a minute over the second half")


if __name__ == "__main__":
    main()
