"""`keeper simulate`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from keeper_grpc.command.arguments import within
from keeper_grpc.simulation.parameters import Parameters

if TYPE_CHECKING:  # loading it takes a second
    from keeper_grpc.simulation.measures.report import Report

_DEFAULTS = Parameters()

_MOST_CUSTOMERS = 2_000
"""Invented words are unique up to some ten thousand accounts; a run of this many takes hours."""


def declare(command: argparse.ArgumentParser) -> None:
    """Declare the command."""
    command.set_defaults(run=_run)
    command.description = (
        "Grow a network of simulated customers through the real API, and hold what it learns against "
        "the truth, which a simulation knows (docs/simulation.md). Uses a database of its own."
    )
    command.add_argument(
        "--customers",
        type=_sizes,
        default=_DEFAULTS.customers,
        metavar="N,N,...",
        help="the sizes at which the network is looked at (10,50,200)",
    )
    command.add_argument("--seed", type=int, default=_DEFAULTS.seed, help="(%(default)s)")
    command.add_argument(
        "--worlds",
        type=within(int, 1, 100),
        default=1,
        help="how many worlds, of this seed and the next ones (%(default)s)",
    )
    command.add_argument(
        "--days",
        type=within(int, 1, 3_650),
        default=_DEFAULTS.days,
        help="length of the story (%(default)s)",
    )
    command.add_argument(
        "--follow",
        type=within(float, 0.0, 1.0),
        default=_DEFAULTS.follow,
        help="share of the advice that is followed (%(default)s)",
    )
    command.add_argument(
        "--category-effect",
        type=within(float, 0.0, 5.0),
        default=_DEFAULTS.category_effect,
        help="how much categories differ, in log-odds (%(default)s)",
    )
    command.add_argument(
        "--reversals",
        type=within(float, 0.0, 1.0),
        default=_DEFAULTS.reversals,
        metavar="SHARE",
        help="share of the truths that turn around on a day: 70%% becomes 30%% (%(default)s)",
    )
    command.add_argument(
        "--reversal-day",
        type=within(int, 1, 3_650),
        metavar="DAY",
        help="the day on which they do (two thirds of the story)",
    )
    command.add_argument(
        "--hunch",
        type=within(float, 0.0, 1.0),
        default=_DEFAULTS.hunch,
        help="correlation of accounts' own judgement with the truth (%(default)s)",
    )
    command.add_argument(
        "--repertoire",
        type=within(int, 1, 10),
        default=_DEFAULTS.repertoire,
        help="actions that occur to an account by itself, of ten (%(default)s)",
    )
    command.add_argument(
        "--without-authors",
        dest="authored",
        action="store_false",
        help="begin with an empty catalog: what the network learns by itself",
    )
    command.add_argument(
        "--author",
        type=within(float, 0.0, 1.0),
        default=_DEFAULTS.author,
        help="correlation of the authors' judgement with the truth (%(default)s)",
    )
    command.add_argument(
        "--leave-out",
        type=within(int, 0, _MOST_CUSTOMERS),
        default=0,
        metavar="N",
        help="replay the story without one account, for N accounts: what a customer adds (%(default)s)",
    )
    command.add_argument("--out", type=Path, help="where to write plots and the table in Markdown")


def _run(parsed: argparse.Namespace) -> int:
    from keeper_grpc import logs
    from keeper_grpc.simulation.show.plots import PlotsUnavailable, write_plots
    from keeper_grpc.simulation.show.table import sheets, worlds_sheets

    names = {field.name for field in fields(Parameters)}
    chosen = Parameters(**{name: value for name, value in vars(parsed).items() if name in names})
    # On a busy machine the embedding cache skips a write now and then: slower, never wrong.
    logs.configure("error", "console")
    console = Console()
    reports = []
    for seed in range(chosen.seed, chosen.seed + parsed.worlds):
        reports.append(_world(replace(chosen, seed=seed), parsed.leave_out, console))
        for page in sheets(reports[-1]):
            console.print(page.rich())
    together = worlds_sheets(reports) if len(reports) > 1 else []
    for page in together:
        console.print(page.rich())
    if parsed.out:
        parsed.out.mkdir(parents=True, exist_ok=True)
        pages = sheets(reports[0]) + together
        (parsed.out / "simulation.md").write_text(
            "\n".join(page.markdown() for page in pages), encoding="utf-8"
        )
        try:
            write_plots(reports[0], parsed.out)
        except PlotsUnavailable as error:
            print(f"keeper: {error}", file=sys.stderr)
    return 0


def _world(parameters: Parameters, leave_out: int, console: Console) -> Report:
    """One world's story, and what it cost."""
    from keeper_grpc.simulation.run import simulate

    wall, spent = time.monotonic(), os.times()
    with console.status("day 0") as status:
        report = asyncio.run(
            simulate(
                parameters,
                lambda day: status.update(f"day {day + 1} of {parameters.days}"),
                leave_out,
            )
        )
    used = os.times()
    processor = sum(used[:4]) - sum(spent[:4])
    console.print(
        f"seed {parameters.seed}: {report.calls:,} calls in {time.monotonic() - wall:.0f} s, "
        f"{processor:.0f} s of CPU"
    )
    return report


_size = within(int, 1, _MOST_CUSTOMERS)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(_size(each) for each in text.split(","))
