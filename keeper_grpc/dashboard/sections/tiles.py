"""The KPIs with their targets, and the metrics without targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nicegui import html

from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.markup import Status, Text
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi, Metric, NetworkMetrics
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse


@dataclass(frozen=True, slots=True)
class Told:
    """How a number is described. `one` and `many` name its sample in singular and plural."""

    title: str
    meaning: str
    one: str
    many: str
    difference: bool = False
    at_most: bool = False


_KPIS: Mapping[Kpi.Name.ValueType, Told] = {
    Kpi.NAME_DISCOVERY_RATE: Told(
        "Discovery rate", "New patterns a week", "new pattern", "new patterns"
    ),
    Kpi.NAME_CROSS_APPLICATION_RATE: Told(
        "Cross-application", "Patterns in use that several accounts use", "pattern", "patterns"
    ),
    Kpi.NAME_SUCCESS_RATE_IMPROVEMENT: Told(
        "Success improvement",
        "Success rate with advice, less without",
        "outcome",
        "outcomes",
        difference=True,
    ),
    Kpi.NAME_TIME_TO_FIRST_INSIGHT: Told(
        "Time to first insight",
        "From joining to the first advice, median",
        "account",
        "accounts",
        at_most=True,
    ),
    Kpi.NAME_PATTERN_ACCURACY: Told(
        "Pattern accuracy", "Patterns that went on as predicted", "pattern", "patterns"
    ),
    Kpi.NAME_REVENUE_PER_PATTERN: Told(
        "Revenue per pattern", "In the accounts' currencies", "pattern", "patterns"
    ),
    Kpi.NAME_RETENTION_IMPROVEMENT: Told(
        "Retention improvement",
        "Customers kept with advice, less without",
        "outcome",
        "outcomes",
        difference=True,
    ),
    Kpi.NAME_VALUE_ACCELERATION: Told(
        "Value acceleration", "How much sooner the first success comes", "account", "accounts"
    ),
}

_METRICS: Mapping[str, Told] = {
    "patterns_discovered": Told(
        "New patterns", "First observed within the window", "pattern", "patterns"
    ),
    "total_success_applications": Told(
        "Advice that worked", "Reported outcomes that were successful", "outcome", "outcomes"
    ),
    "revenue_generated_network": Told(
        "Revenue from advice", "As reported, in the accounts' currencies", "outcome", "outcomes"
    ),
    "average_confidence_boost": Told(
        "Confidence added", "By advice, on average", "answer", "answers", difference=True
    ),
    "time_to_insight": Told(
        "Time to insight", "From first seen to first given, median", "pattern", "patterns"
    ),
    "cross_pollination_rate": Told(
        "Cross-pollination", "Advice from another line of business", "answer", "answers"
    ),
    "enhanced_rate": Told(
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
            self._tiles = {name: _Tile(told) for name, told in _KPIS.items()}

    def show(self, report: GetNetworkMetricsResponse) -> None:
        """Show a report."""
        told = {kpi.name: kpi for kpi in report.kpis}
        for name, tile in self._tiles.items():
            tile.show(told.get(name), withheld=report.withheld)


class _Tile:
    def __init__(self, told: Told) -> None:
        self._told = told
        with html.li().classes("tile"):
            Text("h3", told.title)
            self._value = Text("p", figures.NOTHING, "value")
            Text("p", told.meaning, "meaning")
            with html.div().classes("against"):
                self._status = Status()
                self._target = Text("span", "", "target")
            self._basis = Text("p", "", "basis")
        self._status.show(*_LOADING)

    def show(self, kpi: Kpi | None, *, withheld: bool) -> None:
        """Show one KPI, or that the server withheld it (None)."""
        if kpi is None:
            self._status.show(*(_WITHHELD if withheld else _UNKNOWN))
            self._value.text = figures.NOTHING
            self._target.text = self._basis.text = ""
            return
        told, metric = self._told, kpi.metric
        known = metric.HasField("value")
        self._status.show(*_STATUS.get(kpi.status, _UNKNOWN))
        self._value.text = (
            figures.figure(metric, difference=told.difference) if known else figures.NOTHING
        )
        target = figures.target(kpi.target, metric.unit, difference=told.difference)
        self._target.text = f"Target: {'at most' if told.at_most else 'at least'} {target}"
        self._basis.text = basis(metric, told)


class Numbers:
    """The metrics that have no target."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[Told, Text, Text]] = {}
        with html.dl().classes("numbers"):
            for name, told in _METRICS.items():
                with html.div():
                    Text("dt", told.title)
                    with html.dd():
                        value = Text("span", figures.NOTHING, "value")
                        Text("span", told.meaning, "meaning")
                        self._shown[name] = (told, value, Text("span", "", "basis"))

    def show(self, report: GetNetworkMetricsResponse) -> None:
        """Show a report."""
        for name, (told, value, based_on) in self._shown.items():
            if report.withheld:
                value.text, based_on.text = "Withheld", ""
                continue
            metric = _metric(report.metrics, name)
            value.text = figures.figure(metric, difference=told.difference)
            based_on.text = basis(metric, told)


def basis(metric: Metric, told: Told) -> str:
    """A number's sample size and confidence interval."""
    rests_on = f"From {figures.count(metric.sample_size, told.one, told.many)}"
    between = figures.interval(metric, difference=told.difference)
    return f"{rests_on}; 95% interval {between}" if between else rests_on


def _metric(metrics: NetworkMetrics, name: str) -> Metric:
    metric: Metric = getattr(metrics, name)
    return metric
