"""Formats numbers with their units."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Metric

NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True, slots=True)
class _Form:
    """The format of a unit: the number times `factor`, with `decimals`, followed by `suffix`."""

    factor: float
    decimals: int
    suffix: str = ""
    sign: str = ""

    def number(self, value: float) -> str:
        # Adding 0.0 turns a rounded -0.0 into 0.0.
        rounded = round(value * self.factor, self.decimals) + 0.0
        text = f"{rounded:{self.sign},.{self.decimals}f}"
        return text.removesuffix(".0")


_FORMS = {
    Metric.UNIT_COUNT: _Form(1, 0),
    Metric.UNIT_SHARE: _Form(100, 1, "%"),
    Metric.UNIT_PER_WEEK: _Form(1, 1, " a week"),
    Metric.UNIT_RATIO: _Form(1, 1, " times"),
}

_POINTS = _Form(100, 1, " points", "+")
_SMALL_POINTS = _Form(100, 2, " points", "+")
_SMALL_BELOW = 0.00095
"""Differences of shares below this one, in which one decimal would show as a zero or nearly, get two."""

_SPANS = (
    (120.0, _Form(1, 1, " s")),
    (120 * 60.0, _Form(1 / 60, 1, " min")),
    (72 * 3600.0, _Form(1 / 3600, 1, " h")),
)
"""Formats of durations by their upper limit in seconds."""

_DAYS = _Form(1 / 86400, 1, " days")

_CENTS, _WHOLE = _Form(1, 2), _Form(1, 0)
_CENTS_BELOW = 1000.0
"""Amounts from this one on are written without cents."""


def amount(value: float, unit: Metric.Unit.ValueType, *, difference: bool) -> str:
    """A number in its unit. `difference` marks a difference of shares, which is given in points."""
    form = _form(value, unit, difference=difference)
    return form.number(value) + form.suffix


def value_of(metric: Metric, *, difference: bool, label: str = "") -> str:
    """A metric's value, with the confidence interval of an estimate.

    `label` precedes the interval where no column heading names it.
    """
    if not metric.HasField("value"):
        return NOT_ENOUGH_DATA
    value = amount(metric.value, metric.unit, difference=difference)
    if not metric.HasField("interval"):
        return value
    return f"{value} ({label}{_range(metric, difference=difference)})"


def sample_of(metric: Metric) -> str:
    """The sample size."""
    return f"{metric.sample_size:,}" if metric.sample_size else "none"


def time_of(moment: datetime) -> str:
    """A time (UTC), to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _range(metric: Metric, *, difference: bool) -> str:
    lower, upper = metric.interval.lower, metric.interval.upper
    if metric.unit == Metric.UNIT_SECONDS:
        # Each end has the format of its own size: half a minute is not "0 h".
        return " to ".join(amount(end, metric.unit, difference=False) for end in (lower, upper))
    # The preceding value already shows the unit.
    form = _form(upper, metric.unit, difference=difference)
    return f"{form.number(lower)} to {form.number(upper)}"


def _form(value: float, unit: Metric.Unit.ValueType, *, difference: bool) -> _Form:
    if unit == Metric.UNIT_SHARE and difference:
        return _SMALL_POINTS if 0 < abs(value) < _SMALL_BELOW else _POINTS
    if unit == Metric.UNIT_SECONDS:
        return next((form for limit, form in _SPANS if abs(value) < limit), _DAYS)
    if unit == Metric.UNIT_CURRENCY:
        return _CENTS if abs(value) < _CENTS_BELOW else _WHOLE
    return _FORMS.get(unit, _CENTS)
