"""What changed against the period before: as many days right before, from the days of a report that has both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from keeper_grpc.client.days import MOST_DAYS, Bucket, buckets
from keeper_grpc.dashboard.filters import Dates
from keeper_grpc.dashboard.look import figures
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse

ENOUGH = 20
"""Outcomes in each arm of a period, as in the metrics: with fewer, a difference of rates is noise."""


@dataclass(frozen=True, slots=True)
class Periods:
    """The sums of the days that are shown, and of as many right before."""

    before: Bucket
    now: Bucket

    @classmethod
    def of(cls, report: GetNetworkMetricsResponse | None, dates: Dates) -> Periods | None:
        """Both, from a report whose window has both; None where it is withheld or too short."""
        if report is None or report.withheld or not report.days:
            return None
        if 2 * dates.days > MOST_DAYS:
            return None
        first = dates.before.first
        if report.window_start_time.ToDatetime().date() > first:
            return None
        before, now = buckets(report.days, first, dates.last, dates.days)
        return cls(before, now)


def shown_dates(report: GetNetworkMetricsResponse, days: int, chosen: Dates | None) -> Dates:
    """The days that a page shows: the chosen ones, or those of its window as of the report."""
    if chosen is not None:
        return chosen
    last = report.as_of_time.ToDatetime().date()
    return Dates(last - timedelta(days=days - 1), last)


def kpi_changes(periods: Periods | None) -> Mapping[Kpi.Name.ValueType, str]:
    """A sentence for each KPI that days tell of; none where a period has too little."""
    if periods is None:
        return {}
    before, now = periods.before, periods.now
    span = figures.count(now.days, "day", "days")
    found = {
        Kpi.NAME_DISCOVERY_RATE: (
            f"{arrow(before.patterns_discovered, now.patterns_discovered)} "
            f"{now.patterns_discovered:,} new in {span}, {before.patterns_discovered:,} in the {span} before"
        )
    }
    earlier, later = _uplift(before), _uplift(now)
    if earlier is not None and later is not None:
        found[Kpi.NAME_SUCCESS_RATE_IMPROVEMENT] = (
            f"{arrow(earlier, later)} {figures.points(later)} in {span}, {figures.points(earlier)} in the {span} before"
        )
    return found


def metric_changes(periods: Periods | None) -> Mapping[str, str]:
    """The same for the metrics that have no target, by their field of NetworkMetrics."""
    if periods is None:
        return {}
    before, now = periods.before, periods.now
    found = {
        "patterns_discovered": _counted(before.patterns_discovered, now.patterns_discovered),
    }
    if now.advised_count or before.advised_count:
        found["total_success_applications"] = _counted(
            before.advised_success_count, now.advised_success_count
        )
    earlier, later = before.enhanced_rate, now.enhanced_rate
    if earlier is not None and later is not None:
        found["enhanced_rate"] = (
            f"{arrow(earlier, later)} from {figures.share(earlier)} in the period before"
        )
    return found


def series(
    report: GetNetworkMetricsResponse, dates: Dates, value: Callable[[Bucket], float | None]
) -> Sequence[float | None]:
    """A value over the days that are shown, in a dozen steps at most, for a small curve; None where there is none."""
    if report.withheld:
        return []
    size = max(1, -(-dates.days // _STEPS))
    return [value(step) for step in buckets(report.days, dates.first, dates.last, size)]


def arrow(before: float, after: float) -> str:
    """Which way it went."""
    if after > before:
        return "\N{UPWARDS ARROW}"
    return "\N{DOWNWARDS ARROW}" if after < before else "\N{RIGHTWARDS ARROW}"


_STEPS = 12


def _counted(before: int, now: int) -> str:
    return f"{arrow(before, now)} from {before:,} in the period before"


def _uplift(period: Bucket) -> float | None:
    if min(period.advised_count, period.held_out_count) < ENOUGH:
        return None
    return period.advised_success_count / period.advised_count - (
        period.held_out_success_count / period.held_out_count
    )
