"""A watch on a pipe: one line for every change."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from keeper_grpc.client import (
    Changed,
    EmergingNews,
    Interrupted,
    MetricsEvent,
    Reported,
    SnapshotComplete,
)
from keeper_grpc.terminal.output.as_json import line, message_json, report_json
from keeper_grpc.terminal.output.emerging import change_line
from keeper_grpc.terminal.output.plain import plain
from keeper_grpc.terminal.output.report import WITHHELD, Report, kpi_line, metric_line, metrics
from keeper_grpc.terminal.output.screen import Screen


class _Printed:
    """Nothing to do between events."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to restore."""

    async def run(self) -> None:
        await asyncio.Event().wait()


class Lines(_Printed):
    """Text lines: the time (UTC), then the change."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(screen)
        self._told: set[str] = set()
        self._interrupted = False

    def emerging(self, event: EmergingNews) -> None:
        if isinstance(event, Changed):
            self._say(f"emerging {change_line(event.pattern)}")
        else:
            self._say(f"emerging now: {event.count:,} patterns")

    def metrics(self, event: MetricsEvent) -> None:
        if isinstance(event, Interrupted):
            if not self._interrupted:
                self._say(f"interrupted: {plain(str(event.error))}")
            self._interrupted = True
            return
        if self._interrupted:
            self._say("connected again")
            self._interrupted = False
        if isinstance(event, Reported):
            now = _told(event.report)
            for said in now:
                if said not in self._told:
                    self._say(said)
            self._told = set(now)

    def _say(self, said: str) -> None:
        self._screen.print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {said}")


class JsonLines(_Printed):
    """JSON lines: one object a line, whose only key is its kind."""

    def emerging(self, event: EmergingNews) -> None:
        match event:
            case Changed(pattern):
                self._say("emerging_pattern", message_json(pattern))
            case SnapshotComplete(count):
                self._say("snapshot_complete", {"count": count})

    def metrics(self, event: MetricsEvent) -> None:
        match event:
            case Reported(report):
                self._say("report", report_json(report))
            case Interrupted(error):
                self._say("interrupted", {"code": error.code.name, "message": error.message})

    def _say(self, what: str, content: dict[str, Any]) -> None:
        self._screen.print(line({what: content}))


def _told(report: Report) -> list[str]:
    """A report as lines; unchanged metrics give equal lines."""
    if report.withheld:
        return [f"metrics {WITHHELD}"]
    return [
        *(f"KPI {kpi_line(kpi)}" for kpi in report.kpis),
        *(f"metric {metric_line(name, metric)}" for name, metric in metrics(report)),
        f"published patterns: {report.published_pattern_count:,}",
    ]
