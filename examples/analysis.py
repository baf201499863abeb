# ruff: noqa: INP001, T201 - a script that is run by its path and prints its answer
"""The network in DataFrames: patterns and metrics through the client, for an analyst.

    pip install 'keeper-grpc[analysis,plots]'
    python examples/analysis.py --target 127.0.0.1:50051 --out analysis

Prints where the network is surest, and what moved within the window; `--out` saves both as CSV, and a plot. Use the
functions from a notebook the same way: `patterns = await pattern_frame(client)`.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import pandas as pd

from keeper_grpc.client import KeeperClient, KeeperClientError
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern

DAY_COLUMNS = (
    *("observation_count", "question_count", "enhanced_count", "patterns_discovered"),
    *("advised_count", "advised_success_count", "held_out_count", "held_out_success_count"),
)


async def pattern_frame(client: KeeperClient, category: str = "") -> pd.DataFrame:
    """One row for each published pattern with evidence, by its id, the surest first."""
    listed = client.list_patterns(business_category=category, page_size=500)
    rows = [_row(pattern) async for pattern in listed if pattern.evidence.occurrence_count]
    columns = ["type", "category", "action", "rate", "at_least", "cases", "accounts", "last"]
    frame = pd.DataFrame(rows, columns=["pattern_id", *columns])
    return frame.set_index("pattern_id")


def _row(pattern: Pattern) -> tuple[object, ...]:
    evidence = pattern.evidence
    return (
        pattern.pattern_id,
        pattern.pattern_type,
        pattern.business_category,
        pattern.action,
        evidence.success_rate,
        evidence.lower_bound,
        evidence.occurrence_count,
        evidence.account_count,
        pd.Timestamp(pattern.last_validated_time.ToDatetime(), tz="UTC"),
    )


def day_frame(report: GetNetworkMetricsResponse) -> pd.DataFrame:
    """One row for each day of the report with events, by date; its counts, and success in both arms."""
    rows = [[getattr(day, name) for name in DAY_COLUMNS] for day in report.days]
    days = pd.DatetimeIndex([day.start_time.ToDatetime() for day in report.days], name="day")
    frame = pd.DataFrame(rows, index=days, columns=list(DAY_COLUMNS))
    for arm in ("advised", "held_out"):
        trials = frame[f"{arm}_count"]
        frame[f"{arm}_rate"] = frame[f"{arm}_success_count"].div(trials).where(trials > 0)
    return frame


def by_type(patterns: pd.DataFrame) -> pd.DataFrame:
    """For each type and line of business: how many patterns, and the surest of them."""
    grouped = patterns.sort_values("at_least", ascending=False).groupby(["type", "category"])
    return grouped.agg(
        patterns=("action", "size"), at_least=("at_least", "max"), surest=("action", "first")
    ).sort_values("at_least", ascending=False)


def plot(patterns: pd.DataFrame, path: Path) -> None:
    """Each pattern's rate and the rate that it exceeds with 95% certainty, by how many cases are behind it."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - needed only where a plot is saved

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.vlines(patterns["cases"], patterns["at_least"], patterns["rate"], color="0.8")
    axes.scatter(patterns["cases"], patterns["rate"], label="success rate", s=18)
    axes.scatter(patterns["cases"], patterns["at_least"], label="at least (95%)", s=18)
    axes.set(xscale="log", xlabel="cases", ylabel="success", ylim=(0, 1))
    axes.legend()
    figure.savefig(path)


async def main() -> int:
    """Read, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--target", default="127.0.0.1:50051", help="the server (%(default)s)")
    parser.add_argument("--category", default="", help="only this line of business")
    parser.add_argument("--out", type=Path, help="directory for CSV files and the plot")
    chosen = parser.parse_args()
    async with KeeperClient(chosen.target) as client:
        try:
            patterns = await pattern_frame(client, chosen.category)
            report = await client.network_metrics(business_category=chosen.category)
        except KeeperClientError as error:
            print(f"the network cannot be read: {error}")
            return 1
    days = day_frame(report)
    print(by_type(patterns).to_string() if len(patterns) else "no pattern is published yet")
    print("the metrics are withheld" if report.withheld else days.tail(14).to_string())
    if chosen.out:
        chosen.out.mkdir(parents=True, exist_ok=True)
        patterns.to_csv(chosen.out / "patterns.csv")
        days.to_csv(chosen.out / "days.csv")
        if len(patterns):
            plot(patterns, chosen.out / "patterns.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
