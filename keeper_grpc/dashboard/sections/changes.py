"""What changed within the window: its second half beside its first, from the days of the report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.sections.buckets import Bucket, buckets
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse

ENOUGH = 20
"""Outcomes in each arm of a half, as in the metrics: with fewer, a difference of rates is noise."""


def changes(report: GetNetworkMetricsResponse) -> Mapping[Kpi.Name.ValueType, str]:
    """A sentence for each KPI that days tell of; none where a half has too little."""
    halves = _halves(report)
    if halves is None:
        return {}
    before, after = halves
    found = {
        Kpi.NAME_DISCOVERY_RATE: _moved(
            before.patterns_discovered, after.patterns_discovered, f"{after.days} days"
        )
    }
    earlier, later = _uplift(before), _uplift(after)
    if earlier is not None and later is not None:
        found[Kpi.NAME_SUCCESS_RATE_IMPROVEMENT] = (
            f"{_arrow(earlier, later)} {figures.points(later)} in the last {after.days} days, "
            f"{figures.points(earlier)} before"
        )
    return found


def _halves(report: GetNetworkMetricsResponse) -> tuple[Bucket, Bucket] | None:
    """The last two stretches of the window of one length; None for less than two days or a withheld report."""
    if report.withheld or not report.days:
        return None
    last = report.as_of_time.ToDatetime().date()
    first = report.window_start_time.ToDatetime().date()
    size = ((last - first).days + 1) // 2
    if size < 1:
        return None
    found = buckets(report.days, last - timedelta(days=2 * size - 1), last, size)
    return found[0], found[1]


def _uplift(half: Bucket) -> float | None:
    if min(half.advised_count, half.held_out_count) < ENOUGH:
        return None
    return half.advised_success_count / half.advised_count - (
        half.held_out_success_count / half.held_out_count
    )


def _moved(before: int, after: int, span: str) -> str:
    return f"{_arrow(before, after)} {after:,} new in the last {span}, {before:,} before"


def _arrow(before: float, after: float) -> str:
    if after > before:
        return "\N{UPWARDS ARROW}"
    return "\N{DOWNWARDS ARROW}" if after < before else "\N{RIGHTWARDS ARROW}"
