"""What each call costs, beside a bare service that parses the same requests and builds the same replies.

    make bench                       1,000 and 10,000 patterns, under five minutes
    make bench FULL=1                100,000 too, and every kind of call with 1, 16 and 64 callers
    python -m bench.calls --only EnhanceInsight CapturePattern --patterns 10000 --rounds 1 --callers 16

`of floor` is calls a second beside the bare service's, measured in turns in the same run: machines differ and are
shared, so read the ratio. `CPU` is milliseconds of processor time a call: the service's, the bare service's, the
database's, the load generator's. `apart` is how far the rounds' ratios lie apart. Patterns and requests are spread
over 24 scopes by Zipf's law.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# Before numpy is imported, as the server does.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import structlog

from bench.calls.ghz import Ghz
from bench.calls.measure import Cell, Measured, rows
from bench.calls.network import Network
from bench.calls.processes import Processes, directory, floor, service
from bench.calls.requests import Requests
from bench.calls.results import Result, compare, read_last, show, write
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.schema.migrate import migrate

SIZES = (1_000, 10_000)
FULL_SIZES = (*SIZES, 100_000)
CALLERS = (1, 16, 64)
HOT = ("EnhanceInsight", "CapturePattern")
"""Measured with every number of callers; the others with 16, unless all are asked for."""
USUAL = 16
SHORT = 1.0
"""Seconds for which the floor is measured, which has nothing to warm, and calls that are not hot."""


def measure(arguments: argparse.Namespace, settings: Mapping[str, str]) -> Result:
    """Measure every size, growing one database."""
    cells: list[Cell] = []
    memory: dict[int, float] = {}
    with directory() as place, asyncio.Runner() as runner:
        postgres = EmbeddedPostgres(place / "data")
        dsn = runner.run(postgres.start())
        try:
            runner.run(migrate(dsn))
            network = Network(dsn)
            ghz = Ghz(place)
            pid = int((postgres.layout.pgdata / "postmaster.pid").read_text().split()[0])
            for step, size in enumerate(sorted(arguments.patterns)):
                print(f"filling {size:,} patterns", flush=True)
                runner.run(network.grow(size))
                with service(dsn, place, arguments.workers, settings) as served:
                    measured = Measured(
                        size,
                        served,
                        Processes((pid,), 0),
                        ghz,
                        Requests(arguments.seed + step),
                        dsn,
                    )
                    measured.warm()
                    with floor(measured.answers(), place, arguments.workers) as bare:
                        for turn in range(arguments.rounds):
                            print(f"{size:,} patterns, round {turn + 1}", flush=True)
                            cells += _round(measured, bare, arguments)
                    memory[size] = served.megabytes()
        finally:
            runner.run(postgres.stop())
    return Result(list(rows(cells)), memory, arguments.workers)


def _round(measured: Measured, bare: Processes, arguments: argparse.Namespace) -> Iterator[Cell]:
    for kind in measured.kinds():
        if arguments.only and kind.name.partition(",")[0] not in arguments.only:
            continue
        callers: Sequence[int] = arguments.callers or (
            CALLERS if arguments.full or kind.name in HOT else (USUAL,)
        )
        for number in callers:
            hot = kind.method in HOT or arguments.only
            short = min(SHORT, arguments.seconds)
            yield measured.cell(kind, number, bare, arguments.seconds if hot else short, short)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.calls", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--patterns", type=int, nargs="+")
    parser.add_argument("--callers", type=int, nargs="+")
    parser.add_argument("--only", nargs="+", metavar="RPC")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="of each measurement of a hot call"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the server"
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the results here as JSON")
    arguments = parser.parse_args()
    if arguments.patterns is None:
        arguments.patterns = FULL_SIZES if arguments.full else SIZES
    return arguments


def main() -> None:
    """Measure, print, compare with the last results that were kept."""
    arguments = parsed()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    settings = dict(each.split("=", 1) for each in arguments.set)
    result = measure(arguments, settings)
    show(result)
    last = read_last(arguments.workers)
    if last is not None:
        compare(result, last)
    if arguments.save is not None:
        write(result, arguments.save)


if __name__ == "__main__":
    main()
