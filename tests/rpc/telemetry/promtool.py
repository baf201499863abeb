"""Alert rules held against what a process exported before and during a fault, by Prometheus' own promtool.

What happened within a test's seconds is stretched over minutes: a counter rises from its value before the fault to that during
it, evenly; a gauge has its value of the fault from the first minute on.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rpc.telemetry.exported import Exported

PROMTOOL = shutil.which("promtool")
"""Of Debian's package `prometheus`."""

RISE, HELD = 20, 10
"""Minutes in which counters rise, and in which they stay. Rules wait for fifteen at most."""

SPEED = "KeeperEnhanceSlow|KeeperPoolExhausted|KeeperOverloaded|KeeperWritersBehind"
"""Alerts of the time that things take: on a slow machine they are right to fire without a fault."""

CUMULATIVE = ("_total", "_bucket", "_count", "_sum")


@dataclass(frozen=True)
class Faulted:
    """What one process exported before and during a fault, and the alerts that must fire; `during` is None where it is gone."""

    name: str
    before: Exported
    during: Exported | None
    alerts: Collection[str]


async def check(rules: Path, cases: Collection[Faulted], directory: Path) -> str:
    """What promtool complains of: empty where each case fires its alerts, and one without alerts fires none."""
    assert PROMTOOL is not None
    file = directory / "cases.json"  # JSON is YAML
    content = {
        "rule_files": [str(rules)],
        "evaluation_interval": "1m",
        "tests": [_test(case) for case in cases],
    }
    await asyncio.to_thread(file.write_text, json.dumps(content))
    process = await asyncio.create_subprocess_exec(
        PROMTOOL,
        "test",
        "rules",
        str(file),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return "" if process.returncode == 0 else said.decode()


def _test(case: Faulted) -> dict[str, Any]:
    firing = 'ALERTS{alertstate="firing"'
    wanted = [
        # Whichever labels it fires with.
        (f'count({firing}, alertname="{alert}"}}) > bool 0', 1)
        for alert in sorted(case.alerts)
    ] or [(f'count({firing}, alertname!~"{SPEED}"}}) or vector(0)', 0)]
    return {
        "name": case.name,
        "interval": "1m",
        "input_series": list(_series(case)),
        "promql_expr_test": [
            {
                "expr": expression,
                "eval_time": f"{RISE}m",
                "exp_samples": [{"labels": "{}", "value": value}],
            }
            for expression, value in wanted
        ],
    }


def _series(case: Faulted) -> Iterator[dict[str, str]]:
    before = _flat(case.before)
    during = {} if case.during is None else _flat(case.during)
    for key in before.keys() | during.keys():
        name, labels = key
        if name.endswith("_created"):
            continue
        inner = ", ".join(f"{label}={json.dumps(value)}" for label, value in labels)
        series = f'{name}{{job="keeper", instance="one"{", " if inner else ""}{inner}}}'
        yield {"series": series, "values": _values(name, before.get(key), during.get(key))}


def _values(name: str, before: float | None, during: float | None) -> str:
    if during is None:
        return f"{before} stale"
    if not name.endswith(CUMULATIVE):
        return f"{'_' if before is None else before} {during}x{RISE + HELD - 1}"
    step = (during - (before or 0.0)) / RISE
    first = f"_ {step}+{step}x{RISE - 1}" if before is None else f"{before}+{step}x{RISE}"
    return f"{first} {during}x{HELD - 1}"


def _flat(exported: Exported) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (name, tuple(sorted(labels.items()))): value
        for name, found in exported.series.items()
        if name.startswith("keeper_")
        for labels, value in found
    }
