"""Results: the table, the JSON, and what got worse since the last ones that were kept."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.calls.measure import Row

KEPT = Path(__file__).parents[1] / "results"
NOISE = 0.15
"""Least change of a ratio that is told, whatever the rounds say: what two runs of one program differ by on a machine
that others use."""


@dataclass(frozen=True)
class Result:
    """One run: its rows, the service's resident megabytes by number of patterns, and its workers."""

    rows: Sequence[Row]
    memory: Mapping[int, float]
    workers: int


def show(result: Result) -> None:
    """Print the table."""
    table = Table(title=f"{result.workers} worker{'s' if result.workers > 1 else ''}")
    for heading in (
        "patterns",
        "call",
        "callers",
        "per s",
        "floor",
        "of floor",
        "apart",
        "p50 ms",
        "p99 ms",
        "floor's",
        "CPU ms",
        "floor CPU",
        "database CPU",
        "load CPU",
    ):
        table.add_column(heading, justify="left" if heading == "call" else "right")
    for row in result.rows:
        table.add_row(
            f"{row.patterns:,}",
            row.name,
            str(row.callers),
            f"{row.per_second:,.0f}",
            f"{row.floor_per_second:,.0f}",
            f"{row.ratio:.3f}",
            f"{row.spread:.0%}",
            f"{row.p50:.1f}",
            f"{row.p99:.1f}",
            f"{row.floor_p99:.1f}",
            f"{row.cpu_ms:.2f}",
            f"{row.floor_cpu_ms:.2f}",
            f"{row.database_cpu_ms:.2f}",
            f"{row.generator_cpu_ms:.2f}",
        )
    Console(width=150).print(table)
    for size, megabytes in result.memory.items():
        print(f"{size:,} patterns: {megabytes:,.0f} MB resident")


def write(result: Result, path: Path) -> None:
    """Keep a run as JSON, with the machine that it was made on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    content = {
        "machine": machine,
        "workers": result.workers,
        "memory_mb": {str(size): round(each, 1) for size, each in result.memory.items()},
        "rows": [
            {
                name: round(value, 4) if isinstance(value, float) else value
                for name, value in asdict(row).items()
            }
            for row in result.rows
        ],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def read_last(workers: int) -> Result | None:
    """The kept results of as many workers; None where there are none."""
    path = KEPT / f"calls-{workers}.json"
    if not path.exists():
        return None
    content = json.loads(path.read_text())
    return Result(
        [Row(**row) for row in content["rows"]],
        {int(size): each for size, each in content["memory_mb"].items()},
        content["workers"],
    )


def compare(result: Result, last: Result) -> None:
    """Print what got worse than the last results, beyond noise."""
    worse = list(_worse(result, last))
    print("\n".join(worse) if worse else "nothing is worse than the last results, beyond noise")


def _worse(result: Result, last: Result) -> Iterator[str]:
    known = {(row.patterns, row.name, row.callers): row for row in last.rows}
    for row in result.rows:
        before = known.get((row.patterns, row.name, row.callers))
        if before is None:
            continue
        noise = max(NOISE, row.spread, before.spread)
        if row.ratio < before.ratio * (1 - noise):
            yield (
                f"worse: {row.name}, {row.callers} callers, {row.patterns:,} patterns: {row.ratio:.3f} of the floor, "
                f"{before.ratio:.3f} before (noise {noise:.0%})"
            )
