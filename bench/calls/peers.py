"""EnhanceInsight beside other stores' bare search: `make bench-peers`, or `python -m bench.calls.peers --python PATH`.

The service answers over gRPC, anonymizes, ranks and records; the peers (bench/peers.py) only search the same vectors
under the same filters. All run one after the other, in one run, with 16 callers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import subprocess
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import asyncpg
import numpy as np
import structlog
from pgvector.asyncpg import register_vector
from rich.console import Console
from rich.table import Table

from bench.calls.filled import filled
from bench.calls.ghz import Ghz
from bench.calls.measure import Measured
from bench.calls.processes import Processes, floor, service
from bench.calls.requests import Requests
from keeper_grpc.storage.database import to_array

PEERS = Path(__file__).parents[1] / "peers.py"
CALLERS = 16
QUESTIONS = 256
OURS = "EnhanceInsight"
SECONDS = 4.0


async def export(dsn: str, path: Path) -> None:
    """The patterns, for the peers; the questions are some of their vectors."""
    connection = await asyncpg.connect(dsn)
    try:
        await register_vector(connection)
        rows = await connection.fetch(
            "SELECT pattern_embedding, pattern_type, business_category, success_rate, occurrence_count"
            " FROM network_patterns"
        )
    finally:
        await connection.close()
    vectors = np.stack([to_array(row[0]) for row in rows])
    kinds, categories = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    asked = np.random.default_rng(1).integers(len(rows), size=QUESTIONS)
    np.savez(
        path,
        vectors=vectors,
        kinds=kinds,
        categories=categories,
        rates=np.array([row[3] for row in rows]),
        counts=np.array([row[4] for row in rows]),
        questions=vectors[asked],
        asked_kinds=kinds[asked],
        asked_categories=categories[asked],
    )


def measure(python: str, patterns: int) -> dict[str, dict[str, float] | str]:
    """Answers a second and latencies, by who answers; what ails those that do not."""
    found: dict[str, dict[str, float] | str] = {}
    with filled(patterns) as (dsn, place):
        asyncio.run(export(dsn, place / "vectors.npz"))
        with service(dsn, place, 1, {}) as served:
            measured = Measured(patterns, served, Processes((), 0), Ghz(place), Requests(1), dsn)
            measured.warm()
            with floor(measured.answers(), place, 1) as bare:
                cell = measured.cell(measured.kinds()[0], CALLERS, bare, SECONDS, SECONDS)
            found[OURS] = {
                "per_second": cell.load.per_second,
                "p50": cell.load.p50,
                "p99": cell.load.p99,
            }
        result = place / "peers.json"
        subprocess.run(
            [python, str(PEERS), str(place / "vectors.npz"), dsn, str(result)], check=True
        )
        found.update(json.loads(result.read_text()))
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", required=True, help="of the peers' environment")
    parser.add_argument("--patterns", type=int, default=10_000)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    found = measure(arguments.python, arguments.patterns)
    table = Table(title=f"{arguments.patterns:,} patterns, {CALLERS} callers")
    for heading in ("who", "per s", "ours is", "p50 ms", "p99 ms"):
        table.add_column(heading)
    ours = found[OURS]
    assert not isinstance(ours, str)  # noqa: S101 - only a peer's failure is told in words
    for name, value in found.items():
        if isinstance(value, str):
            table.add_row(name, value)
            continue
        table.add_row(
            name,
            f"{value['per_second']:,.1f}",
            f"{ours['per_second'] / value['per_second']:.1f} times",
            f"{value['p50']:.1f}",
            f"{value['p99']:.1f}",
        )
    Console().print(table)
    if arguments.save is not None:
        content = {"patterns": arguments.patterns, "callers": CALLERS, "found": found}
        arguments.save.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
