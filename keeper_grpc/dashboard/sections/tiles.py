"""The KPIs with their targets, and the metrics without targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nicegui import html

from keeper_grpc.client.days import Bucket
from keeper_grpc.dashboard.filters import Dates
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.interval import Interval
from keeper_grpc.dashboard.look.markup import Status
from keeper_grpc.dashboard.look.sparkline import Sparkline
from keeper_grpc.dashboard.look.terms import heading
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.sections.changes import Periods, kpi_changes, metric_changes, series
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi, Metric, NetworkMetrics
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse


@dataclass(frozen=True, slots=True)
class Caption:
    """The caption of a number. `one` and `many` name its sample in singular and plural."""

    title: str
    meaning: str
    one: str
    many: str
    difference: bool = False
    at_most: bool = False
    cost: bool = False


_KPIS: Mapping[Kpi.Name.ValueType, Caption] = {
    Kpi.NAME_DISCOVERY_RATE: Caption(
        "Discovery rate", "New patterns a week", "new pattern", "new patterns"
    ),
    Kpi.NAME_CROSS_APPLICATION_RATE: Caption(
        "Cross-application", "Patterns in use that several accounts use", "pattern", "patterns"
    ),
    Kpi.NAME_SUCCESS_RATE_IMPROVEMENT: Caption(
        "Success improvement",
        "Success rate with advice, less without",
        "outcome",
        "outcomes",
        difference=True,
    ),
    Kpi.NAME_TIME_TO_FIRST_INSIGHT: Caption(
        "Time to first insight",
        "From joining to the first advice, median",
        "account",
        "accounts",
        at_most=True,
    ),
    Kpi.NAME_PATTERN_ACCURACY: Caption(
        "Pattern accuracy", "Patterns that went on as predicted", "pattern", "patterns"
    ),
    Kpi.NAME_REVENUE_PER_PATTERN: Caption(
        "Revenue per pattern", "Net revenue of advice by pattern", "pattern", "patterns"
    ),
    Kpi.NAME_RETENTION_IMPROVEMENT: Caption(
        "Retention improvement",
        "Customers kept with advice, less without",
        "outcome",
        "outcomes",
        difference=True,
    ),
    Kpi.NAME_VALUE_ACCELERATION: Caption(
        "Value acceleration", "How much sooner the first success comes", "account", "accounts"
    ),
}

_METRICS: Mapping[str, Caption] = {
    "patterns_discovered": Caption(
        "New patterns", "First observed within the window", "pattern", "patterns"
    ),
    "total_success_applications": Caption(
        "Advice that worked", "Reported outcomes that were successful", "outcome", "outcomes"
    ),
    "revenue_generated_network": Caption(
        "Revenue from advice", "As reported, less its cost", "outcome", "outcomes"
    ),
    "average_confidence_boost": Caption(
        "Confidence added", "By advice, on average", "answer", "answers", difference=True
    ),
    "exploration_loss": Caption(
        "Given up to explore",
        "Success that drawing advice was expected to cost, on average",
        "answer",
        "answers",
        difference=True,
        cost=True,
    ),
    "time_to_insight": Caption(
        "Time to insight", "From first seen to first given, median", "pattern", "patterns"
    ),
    "cross_pollination_rate": Caption(
        "Cross-pollination", "Advice from another line of business", "answer", "answers"
    ),
    "enhanced_rate": Caption(
        "Questions answered", "With advice, those held out aside", "question", "questions"
    ),
}

_STATUS: Mapping[Kpi.Status.ValueType, tuple[str, str, str]] = {
    Kpi.STATUS_MET: ("good", "\N{CHECK MARK}", "Met"),
    Kpi.STATUS_MISSED: ("bad", "\N{MULTIPLICATION X}", "Missed"),
}
_UNKNOWN = ("none", "\N{HORIZONTAL ELLIPSIS}", "Not enough data")
_WITHHELD = ("none", "\N{HORIZONTAL ELLIPSIS}", "Withheld")
_LOADING = ("none", "\N{HORIZONTAL ELLIPSIS}", "Loading")


class Kpis:
    """One tile for each KPI."""

    def __init__(self) -> None:
        with html.ul().classes("tiles"):
            self._tiles = {name: _Tile(caption) for name, caption in _KPIS.items()}

    def show(
        self, report: GetNetworkMetricsResponse, periods: Periods | None, dates: Dates
    ) -> None:
        """Show a report, and what changed against the period before."""
        by_name = {kpi.name: kpi for kpi in report.kpis}
        changed = kpi_changes(periods)
        for name, tile in self._tiles.items():
            tile.show(by_name.get(name), changed.get(name, ""), withheld=report.withheld)
            if name in _CURVES:
                tile.curve.show(series(report, dates, _CURVES[name]))


class _Tile:
    def __init__(self, caption: Caption) -> None:
        self._caption = caption
        with html.li().classes("tile"):
            heading("h3", caption.title)
            self._value = Text("p", figures.NOTHING, "value")
            Text("p", caption.meaning, "meaning")
            with html.div().classes("against"):
                with html.div().classes("measured"):
                    self._status = Status()
                    self.curve = Sparkline()
                self._target = Text("span", "", "target")
            self._change = Text("p", "", "change")
            self._basis = Basis(caption)
        self._status.show(*_LOADING)

    def show(self, kpi: Kpi | None, change: str, *, withheld: bool) -> None:
        """Show one KPI with its change, or that the server withheld it (None)."""
        self._change.text = change if kpi is not None else ""
        if kpi is None:
            self._status.show(*(_WITHHELD if withheld else _UNKNOWN))
            self._value.text = figures.NOTHING
            self._target.text = ""
            self._basis.hide()
            return
        caption, metric = self._caption, kpi.metric
        known = metric.HasField("value")
        self._status.show(*_STATUS.get(kpi.status, _UNKNOWN))
        self._value.text = (
            figures.figure(metric, difference=caption.difference) if known else figures.NOTHING
        )
        target = figures.target(kpi.target, metric.unit, difference=caption.difference)
        self._target.text = f"Target: {'at most' if caption.at_most else 'at least'} {target}"
        self._basis.show(metric)


class Numbers:
    """The metrics that have no target."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[Caption, Text, Basis, Text]] = {}
        with html.dl().classes("numbers"):
            for name, caption in _METRICS.items():
                with html.div():
                    heading("dt", caption.title)
                    with html.dd():
                        value = Text("span", figures.NOTHING, "value")
                        Text("span", caption.meaning, "meaning")
                        based_on = Basis(caption)
                        self._shown[name] = (caption, value, based_on, Text("span", "", "change"))

    def show(self, report: GetNetworkMetricsResponse, periods: Periods | None) -> None:
        """Show a report, and what changed against the period before."""
        changed = metric_changes(periods)
        for name, (caption, value, based_on, change) in self._shown.items():
            if report.withheld:
                value.text, change.text = "Withheld", ""
                based_on.hide()
                continue
            change.text = changed.get(name, "")
            metric = _metric(report.metrics, name)
            value.text = _value(metric, caption)
            based_on.show(metric)


_CURVES: Mapping[Kpi.Name.ValueType, Callable[[Bucket], float | None]] = {
    Kpi.NAME_DISCOVERY_RATE: lambda step: float(step.patterns_discovered),
    Kpi.NAME_SUCCESS_RATE_IMPROVEMENT: lambda step: step.advised_rate,
}
"""What days tell of a KPI: of the improvement the success rate with advice, which steps have enough outcomes for."""


class Basis:
    """A number's sample size, and its confidence interval where it is an estimate."""

    def __init__(self, caption: Caption) -> None:
        self._caption = caption
        with html.span().classes("basis") as self._element:
            self._rests_on = Text("span")
            self._between = Interval()
        self.hide()

    def hide(self) -> None:
        """Show nothing."""
        self._element.set_visibility(False)

    def show(self, metric: Metric) -> None:
        """Show the metric's own."""
        caption = self._caption
        between = figures.interval(metric, difference=caption.difference)
        rests_on = f"From {figures.count(metric.sample_size, caption.one, caption.many)}"
        self._rests_on.text = f"{rests_on}; " if between else rests_on
        self._between.show(between)
        self._element.set_visibility(True)


def _value(metric: Metric, caption: Caption) -> str:
    """A cost is no gain: it has no sign in front but where it is below zero."""
    text = figures.figure(metric, difference=caption.difference)
    return text.removeprefix("+") if caption.cost else text


def _metric(metrics: NetworkMetrics, name: str) -> Metric:
    metric: Metric = getattr(metrics, name)
    return metric
