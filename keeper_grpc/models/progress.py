"""The progress of a move, as a bar on a terminal and as lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)


class Bars:
    """One bar for each part of the move."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def begin(self, part: str, total: int) -> None:
        if self._task is not None:
            self._bars.update(self._task, visible=False)
        # A part without a number of its own takes as long as it takes.
        self._task = self._bars.add_task(part, total=total or None)

    def done(self, count: int) -> None:
        if self._task is not None:
            self._bars.advance(self._task, count)


class Lines:
    """A line when a part begins, and whenever a tenth more of it is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._part = ""
        self._total = 0
        self._done = 0
        self._said = 0

    def begin(self, part: str, total: int) -> None:
        self._part, self._total, self._done, self._said = part, total, 0, 0
        self._console.print(f"{part}: {total}" if total else part)

    def done(self, count: int) -> None:
        self._done += count
        if self._total and self._done * 10 // self._total > self._said:
            self._said = self._done * 10 // self._total
            self._console.print(f"{self._part}: {self._done} of {self._total}")


@contextmanager
def shown_progress() -> Iterator[Bars | Lines]:
    """Progress on stderr, so that stdout has the result alone."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(console)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as bars:
        yield Bars(bars)
