"""The output of an import: progress on stderr, the result on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from keeper_grpc.importing.survey.answers import Answers
from keeper_grpc.importing.tally import Tally

_LINE_EVERY = 10.0
"""Seconds between progress lines without a terminal."""

_BAR_EVERY = 0.1
"""Seconds between updates of the bar."""

_SHOWN = 12
"""Reasons in the table; the report of rejected rows has them all."""

_PIPED_WIDTH = 100
"""Columns where there is no terminal to ask."""

Advance: TypeAlias = Callable[[int, int], None]
"""(rows done, bytes of the file done)."""


@contextmanager
def progress(total: int) -> Iterator[Advance]:
    """Show the progress through `total` bytes: a bar on a terminal, else a line now and then."""
    if sys.stderr.isatty():
        with _bar(total) as advance:
            yield advance
    else:
        yield _lines(total)


def summary(
    tally: Tally, seconds: float, *, sent: bool, above_header: int, answers: Answers
) -> None:
    """The table at the end; `sent` is False when the rows were only checked."""
    console = Console(
        markup=False,
        emoji=False,
        highlight=False,
        width=None if sys.stdout.isatty() else _PIPED_WIDTH,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    if above_header:
        table.add_row("lines above the header", f"{above_header:,}")
    table.add_row("rows", f"{tally.rows:,}")
    table.add_row("success, yes", f"{answers.yes:,}")
    table.add_row("success, no", f"{answers.no:,}")
    if answers.others:
        table.add_row("  values that mean no, unnamed by the mapping", f"{len(answers.others):,}")
    if sent:
        # An import that an older version began counted others.
        for name in sorted({"recorded", "merged", "withheld"} | tally.captured.keys()):
            table.add_row(f"captured, {name}", f"{tally.captured[name]:,}")
        table.add_row("replayed", f"{tally.replayed:,}")
    table.add_row("skipped", f"{tally.skipped:,}")
    table.add_row("rejected", f"{tally.rejected:,}")
    for reason, count in tally.reasons.most_common(_SHOWN):
        table.add_row(f"  {reason}", f"{count:,}")
        if reason in tally.advice:
            table.add_row(f"    {tally.advice[reason]}", "")
    for what, counts in (("masked", tally.masked), ("dropped", tally.dropped)):
        for name, count in counts.most_common(_SHOWN):
            table.add_row(f"anonymizer {what} {name}", f"{count:,}")
    if tally.retries:
        table.add_row("calls repeated", f"{tally.retries:,}")
    table.add_row("seconds", f"{seconds:,.1f}")
    console.print(table)


@contextmanager
def _bar(total: int) -> Iterator[Advance]:
    columns = (BarColumn(), TextColumn("{task.percentage:>3.0f}%  {task.fields[rows]:,} rows"))
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *times, console=Console(stderr=True)) as shown:
        task = shown.add_task("", total=total, rows=0)
        due = 0.0

        def advance(rows: int, done: int) -> None:
            nonlocal due
            now = time.monotonic()
            if now >= due or done >= total:
                due = now + _BAR_EVERY
                shown.update(task, completed=done, rows=rows)

        yield advance


def _lines(total: int) -> Advance:
    console = Console(stderr=True, markup=False, emoji=False, highlight=False, width=_PIPED_WIDTH)
    began = time.monotonic()
    due = began + _LINE_EVERY
    first: int | None = None

    def advance(rows: int, done: int) -> None:
        nonlocal due, first
        now = time.monotonic()
        first = rows if first is None else first
        if now >= due:
            due = now + _LINE_EVERY
            speed = (rows - first) / (now - began)
            console.print(f"{rows:,} rows, {done / total:.0%}, {speed:,.0f} rows a second")

    return advance
