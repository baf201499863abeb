"""Numbers with what they are in, as people read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Metric

NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True, slots=True)
class _Form:
    """How numbers of a unit are written: times `factor`, with `decimals`, before `suffix`."""

    factor: float
    decimals: int
    suffix: str = ""
    sign: str = ""

    def number(self, value: float) -> str:
        # Adding 0.0 makes a rounded negative zero a plain one.
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

_SPANS = (
    (120.0, _Form(1, 1, " s")),
    (120 * 60.0, _Form(1 / 60, 1, " min")),
    (72 * 3600.0, _Form(1 / 3600, 1, " h")),
)
"""Below so many seconds, the form to write them in."""

_DAYS = _Form(1 / 86400, 1, " days")

_CENTS, _WHOLE = _Form(1, 2), _Form(1, 0)
_CENTS_BELOW = 1000.0
"""Money of this order and more is told without cents."""


def amount(value: float, unit: Metric.Unit.ValueType, *, difference: bool) -> str:
    """A number in its unit. `difference` tells a difference of shares from a share."""
    form = _form(value, unit, difference=difference)
    return form.number(value) + form.suffix


def value_of(metric: Metric, *, difference: bool, label: str = "") -> str:
    """What is known of a metric, with the interval of what is estimated and not counted.

    `label` stands before the interval where no head of a table says what it is.
    """
    if not metric.HasField("value"):
        return NOT_ENOUGH_DATA
    value = amount(metric.value, metric.unit, difference=difference)
    if not metric.HasField("interval"):
        return value
    return f"{value} ({label}{_range(metric, difference=difference)})"


def sample_of(metric: Metric) -> str:
    """How many things it was computed from."""
    return f"{metric.sample_size:,}" if metric.sample_size else "none"


def time_of(moment: datetime) -> str:
    """A time (UTC), to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _range(metric: Metric, *, difference: bool) -> str:
    lower, upper = metric.interval.lower, metric.interval.upper
    if metric.unit == Metric.UNIT_SECONDS:
        # Each end in the form of its own size: half a minute is not "0 h".
        return " to ".join(amount(end, metric.unit, difference=False) for end in (lower, upper))
    # The value before it says what this is in.
    form = _form(upper, metric.unit, difference=difference)
    return f"{form.number(lower)} to {form.number(upper)}"


def _form(value: float, unit: Metric.Unit.ValueType, *, difference: bool) -> _Form:
    if unit == Metric.UNIT_SHARE and difference:
        return _POINTS
    if unit == Metric.UNIT_SECONDS:
        return next((form for limit, form in _SPANS if abs(value) < limit), _DAYS)
    if unit == Metric.UNIT_CURRENCY:
        return _CENTS if abs(value) < _CENTS_BELOW else _WHOLE
    return _FORMS.get(unit, _CENTS)
