"""Three charts over time, each with its data as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from nicegui import html, ui

from keeper_grpc.client.days import ENOUGH, Bucket, buckets
from keeper_grpc.dashboard.filters import Dates
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.markup import Cell, Column, Row, Table
from keeper_grpc.dashboard.look.terms import heading
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetNetworkMetricsResponse,
    GetPatternResponse,
)

_STEPS = ((14, 1, 1), (45, 1, 7), (120, 7, 7))
"""Days of a step, for as many days at most: for charts of counts, and for charts of rates, which need more data."""

_LONG_STEP = 28

_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif'
"""The theme's font: labels are measured on a canvas, which inherits none."""

_MUTED, _LINE = "var(--muted)", "var(--line)"
_FIRST, _SECOND, _REST = "var(--series-1)", "var(--series-2)", "var(--series-rest)"


class Chart:
    """A chart, a sentence that summarizes it, and a table of its data."""

    def __init__(self, title: str, columns: Sequence[Column]) -> None:
        with html.figure().classes("chart"):
            heading("h3", title, "chart-title")
            self._sentence = Text("p", "Loading", "chart-sentence")
            # SVG uses the theme's CSS variables, so a change of theme needs no redrawing.
            self._chart = ui.echart({}, renderer="svg").classes("plot")
            # Screen readers get the sentence and the table; the chart itself is decorative to them.
            self._chart.props.update({"aria-hidden": "true"})
            with html.details() as self._details:
                Text("summary", f"{title} as a table")
                self._table = Table(title, columns, "Nothing happened within the window.")
            # The theme's script draws the picture from what is shown; no service has a part in it.
            self._picture = Text(
                "button", "Save as PNG", "picture", type="button", **{"data-picture": title}
            )
        self._chart.set_visibility(False)
        self._picture.set_visibility(False)

    def show(self, sentence: str, options: dict[str, Any] | None, rows: Sequence[Row]) -> None:
        """Draw the chart; without options only the sentence is shown, and it gives the reason."""
        self._sentence.text = sentence
        self._details.set_visibility(options is not None)
        self._chart.set_visibility(options is not None)
        self._picture.set_visibility(options is not None)
        self._table.show(rows)
        if options is not None and self._chart.props["options"] != options:
            self._chart.props["options"] = options
            self._chart.update()


class Trends:
    """The three charts of the overview."""

    def __init__(self) -> None:
        when, number = Column("When"), "number"
        with html.div().classes("charts"):
            self._patterns = Chart("Patterns over time", [when, Column("New patterns", number)])
            self._coverage = Chart(
                "Questions answered",
                [
                    when,
                    Column("Questions", number),
                    Column("Answered", number),
                    Column("Share", number),
                ],
            )
            self._success = Chart(
                "Success with and without the network",
                [
                    when,
                    Column("With advice", number),
                    Column("Held out", number),
                ],
            )

    def show(self, report: GetNetworkMetricsResponse, chosen: Dates | None = None) -> None:
        """Show a report, or the chosen dates of it."""
        if report.withheld:
            for chart in (self._patterns, self._coverage, self._success):
                chart.show("Withheld: too few accounts were active in this window.", None, [])
            return
        first = report.window_start_time.ToDatetime().date()
        last = report.as_of_time.ToDatetime().date()
        if chosen is not None:
            first, last = max(first, chosen.first), min(last, chosen.last)
        step, rate_step = _steps((last - first).days)
        self._show_patterns(report, buckets(report.days, first, last, step))
        self._show_coverage(buckets(report.days, first, last, step))
        advised = report.metrics.total_success_applications
        if advised.sample_size and not advised.HasField("value"):
            self._success.show("Too few accounts have reported outcomes of advice.", None, [])
        else:
            self._show_success(buckets(report.days, first, last, rate_step))

    def _show_patterns(self, report: GetNetworkMetricsResponse, steps: Sequence[Bucket]) -> None:
        found = sum(step.patterns_discovered for step in steps)
        self._patterns.show(
            f"{figures.count(found, 'new pattern', 'new patterns')} within the window; "
            f"{report.published_pattern_count:,} are published now.",
            _options(
                [step.label for step in steps],
                [_bars("New patterns", [step.patterns_discovered for step in steps], _FIRST)],
            ),
            [
                Row(step.label, [Cell(step.label), Cell(f"{step.patterns_discovered:,}")])
                for step in steps
                if step.patterns_discovered
            ],
        )

    def _show_coverage(self, steps: Sequence[Bucket]) -> None:
        asked = sum(step.question_count for step in steps)
        enhanced = sum(step.enhanced_count for step in steps)
        if not asked:
            self._coverage.show("Nobody asked within the window.", None, [])
            return
        self._coverage.show(
            f"{figures.share(enhanced / asked)} of "
            f"{figures.count(asked, 'question was', 'questions were')} answered with proven advice.",
            _options(
                [step.label for step in steps],
                [
                    _bars("Answered", [s.enhanced_count for s in steps], _FIRST, "all"),
                    _bars(
                        "Not answered",
                        [s.question_count - s.enhanced_count for s in steps],
                        _REST,
                        "all",
                    ),
                ],
            ),
            [
                Row(
                    step.label,
                    [
                        Cell(step.label),
                        Cell(f"{step.question_count:,}"),
                        Cell(f"{step.enhanced_count:,}"),
                        Cell(figures.share(step.enhanced_count / step.question_count)),
                    ],
                )
                for step in steps
                if step.question_count
            ],
        )

    def _show_success(self, steps: Sequence[Bucket]) -> None:
        advised = sum(step.advised_count for step in steps)
        held_out = sum(step.held_out_count for step in steps)
        if not advised and not held_out:
            self._success.show("No outcome was reported within the window.", None, [])
            return
        with_advice = _of(sum(step.advised_success_count for step in steps), advised)
        without = _of(sum(step.held_out_success_count for step in steps), held_out)
        drawn = any(
            rate is not None for step in steps for rate in (step.advised_rate, step.held_out_rate)
        )
        few = f" Points rest on {ENOUGH} outcomes or more." if drawn else ""
        self._success.show(
            f"With advice {with_advice}; held out {without}.{few}",
            _options(
                [step.label for step in steps],
                [
                    _curve("With advice", [step.advised_rate for step in steps], _FIRST, "circle"),
                    _curve("Held out", [step.held_out_rate for step in steps], _SECOND, "diamond"),
                ],
                share=True,
            ),
            [
                Row(
                    step.label,
                    [
                        Cell(step.label),
                        Cell(_of(step.advised_success_count, step.advised_count)),
                        Cell(_of(step.held_out_success_count, step.held_out_count)),
                    ],
                )
                for step in steps
                if step.advised_count or step.held_out_count
            ],
        )


def _steps(days: int) -> tuple[int, int]:
    for most, counts, rates in _STEPS:
        if days <= most:
            return counts, rates
    return _LONG_STEP, _LONG_STEP


class History:
    """One pattern's success over time."""

    def __init__(self) -> None:
        self._chart = Chart(
            "Success over time",
            [Column("When"), Column("Successes", "number"), Column("Cases", "number")],
        )

    def show(self, history: Sequence[GetPatternResponse.Period]) -> None:
        """Show its periods."""
        if not history:
            self._chart.show("Too few accounts observed it for a history to be shown.", None, [])
            return
        labels = [_period(period) for period in history]
        self._chart.show(
            f"{figures.count(len(history), 'period', 'periods')}, each as long as it took until "
            "enough accounts had observed something.",
            _options(
                labels,
                [
                    _curve(
                        "Success rate",
                        [period.success_count / period.occurrence_count for period in history],
                        _FIRST,
                        "circle",
                    )
                ],
                share=True,
            ),
            [
                Row(
                    label,
                    [
                        Cell(label),
                        Cell(f"{period.success_count:,}"),
                        Cell(f"{period.occurrence_count:,}"),
                    ],
                )
                for label, period in zip(labels, history, strict=True)
            ],
        )


def _period(period: GetPatternResponse.Period) -> str:
    first = period.start_time.ToDatetime().date()
    last = date.fromordinal(period.end_time.ToDatetime().date().toordinal() - 1)
    return f"{first:%d %b %Y} \N{EN DASH} {last:%d %b %Y}"


def _of(successes: int, trials: int) -> str:
    """Successes of trials, and the rate where there are enough trials for one."""
    if not trials:
        return "not measured"
    counts = f"{successes:,} of {trials:,}"
    return f"{figures.share(successes / trials)} ({counts})" if trials >= ENOUGH else counts


def _bars(
    name: str, values: Sequence[float], colour: str, stack: str | None = None
) -> Mapping[str, Any]:
    return {
        "type": "bar",
        "name": name,
        "data": list(values),
        "stack": stack,
        "itemStyle": {"color": colour},
        "barMaxWidth": 28,
        "emphasis": {"disabled": True},
    }


def _curve(
    name: str, values: Sequence[float | None], colour: str, symbol: str
) -> Mapping[str, Any]:
    return {
        "type": "line",
        "name": name,
        "data": [None if value is None else round(100 * value, 1) for value in values],
        "symbol": symbol,
        "symbolSize": 9,
        "itemStyle": {"color": colour},
        "lineStyle": {"color": colour, "width": 2.5},
        "connectNulls": False,
        "emphasis": {"disabled": True},
    }


_FIRST_DAY = "(label) => label.split(' \N{EN DASH} ')[0]"


def _options(
    labels: Sequence[str], series: Sequence[Mapping[str, Any]], *, share: bool = False
) -> dict[str, Any]:
    text = {"color": _MUTED, "fontFamily": _FONT, "fontSize": 12}
    return {
        "animation": False,
        "textStyle": {"fontFamily": _FONT},
        "grid": {
            "left": 8,
            "right": 24,
            "top": 12,
            "bottom": 30 if len(series) > 1 else 4,
            "containLabel": True,
        },
        "legend": {
            "show": len(series) > 1,
            "bottom": 0,
            "icon": "roundRect" if not share else None,
            "selectedMode": False,
            "textStyle": text,
        },
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            "backgroundColor": "var(--card)",
            "borderColor": "var(--line)",
            "textStyle": {"color": "var(--ink)", "fontFamily": "inherit", "fontSize": 13},
            "axisPointer": {"lineStyle": {"color": _MUTED}, "type": "line"},
        },
        "xAxis": {
            "type": "category",
            "data": list(labels),
            # A step of several days is labelled by its first day, for lack of room.
            "axisLabel": text | {"hideOverlap": True, ":formatter": _FIRST_DAY},
            "axisLine": {"lineStyle": {"color": _LINE}},
            "axisTick": {"show": False},
        },
        "yAxis": {
            "type": "value",
            "min": 0,
            "max": 100 if share else None,
            "minInterval": 1,
            "interval": 25 if share else None,
            "axisLabel": text | ({"formatter": "{value}%"} if share else {}),
            "splitLine": {"lineStyle": {"color": _LINE}},
            "splitNumber": 4,
        },
        "series": list(series),
    }
