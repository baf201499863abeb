"""Formats numbers for people. An unknown number never becomes a zero."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from keeper_grpc.dashboard.look.money import money
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Metric

NOT_ENOUGH = "Not enough data"
NOTHING = "\N{EN DASH}"

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


def fact(value: object) -> str:
    """A condition's value: 60 instead of 60.0."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def figure(metric: Metric, *, difference: bool = False) -> str:
    """A metric's value with its unit, or a statement that there is none. `difference`: of two shares."""
    if not metric.HasField("value"):
        return NOT_ENOUGH
    return number(metric.value, metric.unit, difference=difference)


def number(value: float, unit: Metric.Unit.ValueType, *, difference: bool = False) -> str:
    """A number with its unit."""
    match unit:
        case Metric.UNIT_SHARE:
            return points(value) if difference else share(value)
        case Metric.UNIT_CURRENCY:
            return money(value)
        case Metric.UNIT_SECONDS:
            return span(value)
        case Metric.UNIT_PER_WEEK:
            return f"{_short(value)} a week"
        case Metric.UNIT_RATIO:
            return f"{_short(value)} times"
        case _:
            return _short(value)


def target(value: float, unit: Metric.Unit.ValueType, *, difference: bool = False) -> str:
    """A target value with its unit."""
    if difference and unit == Metric.UNIT_SHARE:
        return f"{_short(round(100 * value, 1))} points"
    return number(value, unit)


def interval(metric: Metric, *, difference: bool = False) -> str:
    """The confidence interval, or an empty string when there is none."""
    if not metric.HasField("interval"):
        return ""
    low, high = (
        number(end, metric.unit, difference=difference)
        for end in (metric.interval.lower, metric.interval.upper)
    )
    # Both ends share the unit, so it is written once.
    unit = low.partition(" ")[2]
    if unit and unit == high.partition(" ")[2]:
        low = low.partition(" ")[0]
    return f"{low} to {high}"


def share(value: float) -> str:
    """A share as a percentage; a small one gets one more digit."""
    return f"{value:.1%}" if 0 < abs(value) < 0.0995 else f"{value:.0%}"  # noqa: PLR2004 - 9.95%


def points(value: float) -> str:
    """A difference of shares; a small one gets one more digit."""
    small = 0 < abs(value) < 0.00095  # noqa: PLR2004 - one decimal would show as +0.1 at most
    return f"{100 * value:+.2f} points" if small else f"{100 * value:+.1f} points"


def growth(rate: float) -> str:
    """EmergingPattern.growth_rate: how many times as many came within the last day as on a day before it."""
    if rate >= 1:
        return "None before"
    if rate <= -1:
        return "None of late"
    times = _short(1 + rate if rate < 0 else 1 / (1 - rate))
    return "As many" if times in ("1", "1.0") else f"{times} times"


def count(value: float, one: str, many: str) -> str:
    """A count with its noun."""
    return f"{value:,.0f} {one if value == 1 else many}"


def span(seconds: float) -> str:
    """A duration in the unit that fits it."""
    for size, name in ((_DAY, "days"), (_HOUR, "hours"), (_MINUTE, "minutes")):
        # From two days on in days; one day is 24 hours, the unit of the targets.
        if abs(seconds) >= (2 * size if size == _DAY else size):
            return f"{_short(seconds / size)} {name}"
    return f"{_short(seconds)} seconds"


def at(stamp: Timestamp) -> str:
    """A time in UTC, to the minute."""
    return f"{stamp.ToDatetime():%Y-%m-%d %H:%M} UTC"


def moment(stamp: Timestamp) -> str:
    """A recent time in UTC; the caller states the zone."""
    return f"{stamp.ToDatetime():%d %b %H:%M}"


def day(stamp: Timestamp) -> str:
    """The day of a time in UTC; a dash when it is not set."""
    return f"{stamp.ToDatetime():%Y-%m-%d}" if stamp.ByteSize() else NOTHING


def clock(moment: datetime) -> str:
    """A time of day in UTC."""
    return f"{moment:%H:%M:%S} UTC"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.1f}"  # noqa: PLR2004 - three digits
