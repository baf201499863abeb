"""A watch on a terminal: one screen, redrawn after changes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich import live
from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.text import Text

from keeper_grpc.client import Changed, EmergingNews, Interrupted, MetricsEvent, Reported
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.terminal.output.emerging import by_interest, change_line, emerging_table
from keeper_grpc.terminal.output.plain import plain
from keeper_grpc.terminal.output.report import WITHHELD, Report, kpi_table, period
from keeper_grpc.terminal.output.screen import Screen

_REDRAW = 0.25
"""Seconds between redraws: a snapshot of hundreds of patterns is drawn once or twice."""

_TABLE_HEAD = 2
"""Lines of a table above its first row."""

_GONE = (EmergingPattern.CHANGE_PROMOTED, EmergingPattern.CHANGE_FADED)


class Page:
    """The current state."""

    def __init__(self, target: str, category: str) -> None:
        self._target = target
        self._category = category
        self._emerging: dict[str, EmergingPattern] = {}
        self._complete = False
        self._report: Report | None = None
        self._interrupted: str = ""
        self._latest = ""

    def emerging(self, event: EmergingNews, now: datetime) -> None:
        """Apply a change."""
        if not isinstance(event, Changed):
            self._complete = True
            return
        pattern = event.pattern
        if pattern.change in _GONE:
            self._emerging.pop(pattern.emerging_pattern_id, None)
        else:
            self._emerging[pattern.emerging_pattern_id] = pattern
        if self._complete:
            self._latest = f"{now:%H:%M:%S} {change_line(pattern)}"

    def metrics(self, event: MetricsEvent, now: datetime) -> None:
        """Apply a report, or its absence."""
        if isinstance(event, Interrupted):
            self._interrupted = self._interrupted or (
                f"no connection since {now:%H:%M:%S} UTC, what is shown may be stale:"
                f" {plain(str(event.error))}"
            )
            return
        self._interrupted = ""
        if isinstance(event, Reported):
            self._report = event.report

    def drawn(self, console: Console) -> RenderableType:
        """The screen, cut to the terminal's height."""
        width, height = console.size
        head = Group(*self._head(width))
        patterns = by_interest(self._emerging.values())
        used = len(console.render_lines(head, console.options.update(height=None)))
        # One line below the patterns counts the rest, another shows the latest change.
        room = max(height - used - _TABLE_HEAD - 2, 1)
        return Group(
            head,
            emerging_table(patterns[:room], width),
            self._more(len(patterns), room),
            Text(self._latest, style="dim", no_wrap=True, overflow="ellipsis"),
        )

    def _head(self, width: int) -> list[RenderableType]:
        title = plain(self._target)
        if self._report is None:
            return [Text(title, style="bold"), Text("waiting for the first report"), Text()]
        lines: list[RenderableType] = [
            Text(f"{title}, {period(self._report, self._category)}", style="bold")
        ]
        if self._interrupted:
            lines.append(Text(self._interrupted, style="red"))
        if self._report.withheld:
            return [*lines, Text(WITHHELD), Text()]
        published = Text(f"published patterns: {self._report.published_pattern_count:,}")
        return [*lines, published, Text(), kpi_table(self._report, width), Text()]

    def _more(self, count: int, room: int) -> RenderableType:
        if not self._complete:
            return Text("reading what is emerging")
        if not count:
            return Text("nothing is emerging")
        return Text(f"and {count - room:,} more" if count > room else "")


class Live:
    """Draws on the terminal's alternate screen, and restores the terminal at the end."""

    def __init__(self, screen: Screen, target: str, category: str) -> None:
        self._screen = screen
        self._page = Page(target, category)
        self._changed = True
        self._size: ConsoleDimensions | None = None
        self._live = live.Live(
            console=screen,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def emerging(self, event: EmergingNews) -> None:
        self._page.emerging(event, datetime.now(UTC))
        self._changed = True

    def metrics(self, event: MetricsEvent) -> None:
        self._page.metrics(event, datetime.now(UTC))
        self._changed = True

    async def run(self) -> None:
        while True:
            if self._changed or self._size != self._screen.size:
                self._changed, self._size = False, self._screen.size
                self._live.update(self._page.drawn(self._screen), refresh=True)
            await asyncio.sleep(_REDRAW)
