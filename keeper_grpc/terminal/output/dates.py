"""What days alone tell of dates that are over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from keeper_grpc.client.days import MOST_DAYS, Bucket, buckets, covered
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse
from keeper_grpc.terminal.output.quantities import NOT_ENOUGH_DATA
from keeper_grpc.terminal.output.report import WITHHELD

_ONLY_DAYS = "KPIs, reactions and revenue are measured up to now: they have no numbers for dates that ended before today"


def sums(report: GetNetworkMetricsResponse, first: date, last: date) -> Bucket:
    """The sums of these days, both included, of a report that covers them."""
    (found,) = buckets(report.days, first, last, (last - first).days + 1)
    return found


def lines(
    report: GetNetworkMetricsResponse, category: str, first: date, last: date
) -> Iterator[str]:
    """For people: what happened, with the counts behind each rate."""
    yield f"{category or 'whole network'}, {first} to {last}, both included, UTC"
    if report.withheld:
        yield WITHHELD
        return
    if not covered(report, first):
        yield f"too long ago: days are known for the newest {MOST_DAYS} on which something happened"
        return
    found = sums(report, first, last)
    yield f"new patterns: {found.patterns_discovered:,}"
    for name, rate, part, whole in (
        ("questions answered", found.enhanced_rate, found.enhanced_count, found.question_count),
        (
            "success with advice",
            found.advised_rate,
            found.advised_success_count,
            found.advised_count,
        ),
        (
            "success held out",
            found.held_out_rate,
            found.held_out_success_count,
            found.held_out_count,
        ),
    ):
        told = NOT_ENOUGH_DATA if rate is None else f"{rate:.1%}"
        yield f"{name}: {told}, {part:,} of {whole:,}"
    yield _ONLY_DAYS


def dates_json(report: GetNetworkMetricsResponse, first: date, last: date) -> dict[str, Any]:
    """For programs: the sums by the names that days have; only the dates where these are withheld or too long ago."""
    known = not report.withheld and covered(report, first)
    told: dict[str, Any] = {"first": str(first), "last": str(last), "withheld": report.withheld}
    if known:
        told |= sums(report, first, last).counts
    return told
