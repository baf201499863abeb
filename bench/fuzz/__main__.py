"""Does any request, whatever its bytes, make the service fail?

    python -m bench.fuzz                         10,000 calls
    python -m bench.fuzz --calls 100000
    python -m bench.fuzz --seed 1 --first 4711 --calls 1      one call of a run again

Every RPC of both services is called with random bytes, with messages that are made from the descriptors and with
damaged ones, beside metadata and compression of all kinds. It prints how the calls ended, and exits with 1 when one ended
with INTERNAL or UNKNOWN or not at all, when an error lacked its ErrorInfo or its request id, or when the server's log
has a defect.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import sys
import time
from pathlib import Path

# Before numpy is imported, as the server does.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc

from bench.calls.processes import directory, service
from bench.fuzz.calls import Fuzz, Tally
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.schema.migrate import migrate

SHOWN = 30
"""Calls that must not have ended as they did, of which so many are printed."""


def main() -> None:
    """Serve a network of its own, call it, print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.fuzz", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first call")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so many")
    arguments = parser.parse_args()
    with directory() as place, asyncio.Runner() as runner:
        postgres = EmbeddedPostgres(place / "data")
        dsn = runner.run(postgres.start())
        try:
            runner.run(migrate(dsn))
            with service(dsn, place, 1, {}) as served:
                began = time.perf_counter()
                tally = runner.run(_fuzz(served.port, arguments))
                seconds = time.perf_counter() - began
            defects = list(_defects(place / "server.log"))
        finally:
            runner.run(postgres.stop())
    print(*tally.rows(), sep="\n")
    print(f"{tally.calls:,} calls in {seconds:,.0f} s, seed {arguments.seed}")
    for name, wrong in (("wrong ends", tally.wrong), ("defects in the log", defects)):
        print(f"{name}: {len(wrong):,}", *wrong[:SHOWN], sep="\n  ")
    if tally.wrong or defects:
        sys.exit(1)


async def _fuzz(port: int, arguments: argparse.Namespace) -> Tally:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        fuzz = Fuzz(channel, arguments.seed)
        numbers = range(arguments.first, arguments.first + arguments.calls)
        ends = time.perf_counter() + arguments.seconds
        within = itertools.takewhile(lambda _: time.perf_counter() < ends, numbers)
        await fuzz.run(within, arguments.at_once)
        return fuzz.tally


def _defects(log: Path) -> list[str]:
    found = []
    for line in log.read_text().splitlines():
        if not line.startswith("{"):
            found.append(line)
        elif '"level":"error"' in line or '"level":"critical"' in line:
            event = json.loads(line)
            found.append(f"{event.get('event')} {event.get('method', '')} {event.get('error', '')}")
    return found


if __name__ == "__main__":
    main()
