"""What days alone tell of chosen dates that are over, and of as many days before them."""

from __future__ import annotations

from nicegui import html

from keeper_grpc.client.days import MOST_DAYS, Bucket, buckets, covered
from keeper_grpc.dashboard.filters import Dates
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.terms import heading
from keeper_grpc.dashboard.look.text import Text
from keeper_grpc.dashboard.sections.changes import Periods
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse

_NAMES = {
    "New patterns": "Patterns that were first observed",
    "Questions": "Insights that were to be enhanced",
    "Questions answered": "With advice, those held out aside",
    "Success with advice": "Of reported outcomes of advice",
    "Success of those held out": "Of reported outcomes without it",
}


class WithinDates:
    """A number for each, and what it was in the period before."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[Text, Text]] = {}
        with html.dl().classes("numbers"):
            for name, meaning in _NAMES.items():
                with html.div():
                    heading("dt", name)
                    with html.dd():
                        value = Text("span", figures.NOTHING, "value")
                        Text("span", meaning, "meaning")
                        self._shown[name] = (value, Text("span", "", "change"))
        Text(
            "p",
            "Targets, reactions and revenue are measured up to now: choose dates that end today to see them. How many "
            "accounts were behind them within dates that are over is not kept, so that a number of one of them could not "
            "be told from one of many.",
            "basis",
        )

    def show(
        self, report: GetNetworkMetricsResponse, periods: Periods | None, dates: Dates
    ) -> None:
        """Show what a report has of the dates."""
        if report.withheld:
            for value, change in self._shown.values():
                value.text, change.text = "Withheld", ""
            return
        if not covered(report, dates.first):
            for value, change in self._shown.values():
                value.text, change.text = "Too long ago", f"days are known for {MOST_DAYS} days"
            return
        (now,) = buckets(report.days, dates.first, dates.last, dates.days)
        before = _numbers(periods.before) if periods is not None else {}
        for name, number in _numbers(now).items():
            value, change = self._shown[name]
            value.text = number
            change.text = f"{before[name]} in the period before" if name in before else ""


def _numbers(period: Bucket) -> dict[str, str]:
    return {
        "New patterns": f"{period.patterns_discovered:,}",
        "Questions": f"{period.question_count:,}",
        "Questions answered": _rate(period.enhanced_rate),
        "Success with advice": _rate(period.advised_rate),
        "Success of those held out": _rate(period.held_out_rate),
    }


def _rate(value: float | None) -> str:
    return figures.NOT_ENOUGH if value is None else figures.share(value)
