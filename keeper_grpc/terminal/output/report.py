"""A report of the network's metrics and KPIs, as tables or as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import TypeAlias

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi, Metric, NetworkMetrics
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse
from keeper_grpc.terminal.output.adoption import TOO_FEW, dismissed_because, funnel
from keeper_grpc.terminal.output.quantities import amount, sample_of, time_of, value_of

Report: TypeAlias = GetNetworkMetricsResponse

WITHHELD = "withheld: too few accounts were active within the window for their numbers to be shown"

TABLE_WIDTH = 80
"""Fewest columns for the tables; narrower screens get lines."""

_ROOMY = 84
"""Below this width columns have no padding, so that a KPI fits into 80 characters."""

_NOW = "now (95% interval)"

_DIFFERENCES = {
    "success rate improvement",
    "retention improvement",
    "average confidence boost",
    "exploration loss",
}
"""Metrics that are differences of shares, given in percentage points."""

_LOWER_IS_BETTER = {Kpi.NAME_TIME_TO_FIRST_INSIGHT}

_STATUS = {
    Kpi.STATUS_MET: ("met", "green"),
    Kpi.STATUS_MISSED: ("missed", "red"),
    Kpi.STATUS_NOT_ENOUGH_DATA: ("unknown", "dim"),
}


def period(report: Report, category: str) -> str:
    """A report's scope and time."""
    begin = report.window_start_time.ToDatetime(UTC)
    end = report.as_of_time.ToDatetime(UTC)
    return f"{category or 'whole network'}, {begin:%Y-%m-%d} to {time_of(end)} UTC"


def kpi_table(report: Report, width: int) -> RenderableType:
    """The KPIs: value, target and sample size."""
    if width < TABLE_WIDTH:
        return Text("\n".join(kpi_line(kpi) for kpi in report.kpis))
    table = _table(width, "KPI", _NOW, "target", "status", "sample")
    for kpi in report.kpis:
        name = kpi_name(kpi)
        sample = sample_of(kpi.metric)
        table.add_row(name, _now(name, kpi.metric), _target(kpi), _status(kpi), sample)
    return table


def metric_table(report: Report, width: int) -> RenderableType:
    """The metrics, which have no target."""
    if width < TABLE_WIDTH:
        return Text("\n".join(metric_line(name, metric) for name, metric in metrics(report)))
    table = _table(width, "metric", _NOW, "sample")
    for name, metric in metrics(report):
        table.add_row(name, _now(name, metric), sample_of(metric))
    return table


def full(report: Report, category: str, width: int) -> RenderableType:
    """All of a report."""
    title = Text(period(report, category), style="bold")
    if report.withheld:
        return Group(title, Text(WITHHELD))
    published = Text(f"published patterns: {report.published_pattern_count:,}")
    blank = Text()
    kpis, numbers = kpi_table(report, width), metric_table(report, width)
    known = report.uplift.difference.HasField("value")
    head = [title, published, *([Text(line) for line in uplift_lines(report)] if known else [])]
    return Group(*head, *map(Text, adoption_lines(report)), blank, kpis, blank, numbers)


def adoption_lines(report: Report) -> Sequence[str]:
    """What became of the advice that was given within the window."""
    if not report.HasField("adoption"):
        return [f"adoption of advice: {TOO_FEW}"]
    lines = funnel(report.adoption), dismissed_because(report.adoption)
    return [f"adoption of advice: {lines[0]}", *filter(None, lines[1:])]


def uplift_line(report: Report) -> str:
    """What advice brings, of all time."""
    uplift = report.uplift
    shown = value_of(uplift.difference, difference=True, label="95% interval on any day ")
    return (
        f"uplift of advice: {shown}; {uplift.advised_success_count:,} of {uplift.advised_count:,} succeeded "
        f"with it, {uplift.held_out_success_count:,} of {uplift.held_out_count:,} held out"
    )


def uplift_lines(report: Report) -> Sequence[str]:
    """What advice brings, as assigned and, where enough followed it, as treated."""
    return [uplift_line(report), *filter(None, [as_treated_line(report)])]


def as_treated_line(report: Report) -> str:
    """What advice brings where it is followed; empty where that is not known."""
    uplift = report.uplift
    if not uplift.as_treated.HasField("value"):
        return ""
    shown = value_of(uplift.as_treated, difference=True, label="95% interval on any day ")
    return f"where advice is followed: {shown}; {uplift.followed_count:,} times so far"


def metrics(report: Report) -> Iterator[tuple[str, Metric]]:
    """Each metric with its name."""
    for field in NetworkMetrics.DESCRIPTOR.fields:
        yield _words(field.name), getattr(report.metrics, field.name)


def kpi_name(kpi: Kpi) -> str:
    """A KPI's name; also for KPIs newer than this program."""
    known = kpi.name in Kpi.Name.values()
    return _words(Kpi.Name.Name(kpi.name).removeprefix("NAME_")) if known else f"KPI {kpi.name}"


def kpi_line(kpi: Kpi) -> str:
    """A KPI in one line."""
    line = metric_line(kpi_name(kpi), kpi.metric)
    return f"{line}, target {_target(kpi)}: {_status(kpi).plain}"


def metric_line(name: str, metric: Metric) -> str:
    """A metric in one line."""
    return f"{name}: {_now(name, metric, '95% interval ')}, sample {sample_of(metric)}"


def _now(name: str, metric: Metric, label: str = "") -> str:
    return value_of(metric, difference=name in _DIFFERENCES, label=label)


def _target(kpi: Kpi) -> str:
    sign = "<=" if kpi.name in _LOWER_IS_BETTER else ">="
    return f"{sign} {amount(kpi.target, kpi.metric.unit, difference=kpi_name(kpi) in _DIFFERENCES)}"


def _status(kpi: Kpi) -> Text:
    word, style = _STATUS.get(kpi.status, ("not said", "dim"))
    return Text(word, style=style)


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def _table(width: int, *columns: str) -> Table:
    gap = 1 if width >= _ROOMY else 0
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0), show_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column == "sample" else "left")
    return table
