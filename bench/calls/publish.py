"""Puts the kept results into the docs: `python -m bench.calls.publish`.

It writes docs/images/performance.svg, and the table of docs/performance.md.
"""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.calls.measure import Row
from bench.calls.results import Result, read_last

DOCS = Path(__file__).parents[2] / "docs"
IMAGE, PAGE = DOCS / "images" / "performance.svg", DOCS / "performance.md"
BEGIN, END = "<!-- results -->\n", "<!-- /results -->"
USUAL = 16
GROWING = ("EnhanceInsight", "CapturePattern", "SuggestMoves", "ListPatterns")


def draw(rows: list[Row]) -> Figure:
    """Left: each call's rate beside the bare service's. Right: how that changes with the number of patterns."""
    usual = [row for row in rows if row.callers == USUAL]
    sizes = sorted({row.patterns for row in usual})
    names = list(dict.fromkeys(row.name for row in usual))
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    height = 0.8 / len(sizes)
    for place, size in enumerate(sizes):
        ratios = {row.name: row for row in usual if row.patterns == size}
        left.barh(
            [at + place * height for at, name in enumerate(names) if name in ratios],
            [ratios[name].ratio for name in names if name in ratios],
            height,
            label=f"{size:,} patterns",
        )
    left.set_yticks([at + 0.4 - height / 2 for at in range(len(names))], names)
    left.invert_yaxis()
    left.set_xlabel(f"calls a second, of a bare service's ({USUAL} callers)")
    left.legend(frameon=False)
    for name in GROWING:
        line = sorted((row.patterns, row.ratio) for row in usual if row.name == name)
        right.plot(*zip(*line, strict=True), marker="o", label=name)
    right.set_xscale("log")
    right.set_ylim(bottom=0)
    right.set_xlabel("patterns")
    right.set_ylabel("of a bare service's")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def table(kept: Result) -> str:
    """The results in Markdown."""
    lines = [
        "| patterns | call | callers | per s | of floor | apart | p50, p99 ms | floor's p99 | CPU ms | floor's | database's | load's |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.patterns:,} | {row.name} | {row.callers} | {row.per_second:,.0f} | {row.ratio:.3f} | {row.spread:.0%} "
        f"| {row.p50:.1f}, {row.p99:.1f} | {_known(row.floor_p99)} | {row.cpu_ms:.2f} | {row.floor_cpu_ms:.2f} | {row.database_cpu_ms:.2f} "
        f"| {row.generator_cpu_ms:.2f} |"
        for row in kept.rows
    ]
    memory = ", ".join(f"{each:,.0f} MB with {size:,}" for size, each in kept.memory.items())
    return "\n".join(
        [*lines, "", f"Resident memory of the service by number of patterns: {memory}.", ""]
    )


def _known(milliseconds: float) -> str:
    return "" if math.isnan(milliseconds) else f"{milliseconds:.1f}"


def main() -> None:
    """Publish the kept results of one worker."""
    kept = read_last(1)
    if kept is None:
        raise SystemExit(
            "no results are kept: python -m bench.calls --save bench/results/calls-1.json"
        )
    # The same input gives the same file.
    mpl.rcParams["svg.hashsalt"] = "keeper"
    draw(list(kept.rows)).savefig(IMAGE, metadata={"Date": None})
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + table(kept) + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
