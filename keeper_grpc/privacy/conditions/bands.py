"""Exact figures made coarse, so that equal situations read equally and no figure points at anyone.

money     low < 100 <= medium < 500 <= high; in a text with its step: low_amount_10_14
days      0-7, 8-14, 15-30, 31-60, 61-90, 91-180, 181+
weeks     0-1, 2-4, 5-8, 9-13, 14-26, 27+
months    0-1, 2-3, 4-6, 7-12, 13-24, 25+
ages      under 18, 18-24, 25-34, 35-44, 45-54, 55-64, 65+
counts    0 to 5 as they are, then 6-10, 11-20, 21-50, 51-100, 101+
ratios    one decimal
dates     the month, or the part of the day when only a time is given
"""

from __future__ import annotations

import bisect
import math
from datetime import date, datetime
from typing import Final

_STEPS: Final = (5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1_000)
"""Prices, vouchers and fees of the trade: $10 off and $50 off are two offers, and neither is a sum that
points at anyone."""

LOW_BELOW: Final = 100.0
HIGH_FROM: Final = 500.0

MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

_DAYS: Final = (7, 14, 30, 60, 90, 180)
_WEEKS: Final = (1, 4, 8, 13, 26)
_MONTHS: Final = (1, 3, 6, 12, 24)
_COUNTS: Final = (0, 1, 2, 3, 4, 5, 10, 20, 50, 100)
_AGES: Final = (17, 24, 34, 44, 54, 64)


def money(amount: float) -> str:
    """`low`, `medium` or `high`; a debt is as large as the sum owed."""
    size = abs(amount)
    if size < LOW_BELOW:
        return "low"
    return "medium" if size < HIGH_FROM else "high"


def amount(sum_of_money: float) -> str:
    """`low_amount_10_14`: the range and, within it, the step, whose bounds belong to it.

    `low_amount_under_5` and `high_amount_1000_and_over` at the ends. Cents go with the sum below.
    """
    size = abs(sum_of_money)
    at = bisect.bisect_right(_STEPS, size)
    if at == 0:
        step = f"under_{_STEPS[0]}"
    elif at == len(_STEPS):
        step = f"{_STEPS[-1]}_and_over"
    else:
        step = f"{_STEPS[at - 1]}_{_STEPS[at] - 1}"
    return f"{money(size)}_amount_{step}"


def days(number: float) -> str:
    """The band of a number of days."""
    return _band(number, _DAYS)


def weeks(number: float) -> str:
    """The band of a number of weeks."""
    return _band(number, _WEEKS)


def months(number: float) -> str:
    """The band of a number of months."""
    return _band(number, _MONTHS)


def count(number: float) -> str:
    """The band of a count."""
    return _band(number, _COUNTS)


def age(years: float) -> str:
    """`under 18`, `18-24`, ... `65+`."""
    return "under 18" if years < _AGES[0] + 1 else _band(years, _AGES)


def ratio(value: float) -> float:
    """One decimal: 0.3 and 0.34 are one situation."""
    return round(value, 1) + 0.0  # + 0.0 turns -0.0 into 0.0, which renders differently


def two_digits(value: float) -> float:
    """Two significant digits: 1234.5 -> 1200.0. Sums stay sums, and no invoice can be looked up."""
    if not math.isfinite(value) or value == 0:
        return 0.0
    return float(f"{value:.1e}")


def month_of(moment: date) -> str:
    """The English name of its month."""
    return MONTHS[moment.month - 1]


def part_of_day(moment: datetime) -> str:
    """`morning` from 5, `afternoon` from 12, `evening` from 17, `night` from 21 o'clock."""
    return ("night", "morning", "afternoon", "evening", "night")[
        bisect.bisect_right((5, 12, 17, 21), moment.hour)
    ]


def _band(number: float, tops: tuple[int, ...]) -> str:
    """`low-high` of the band whose inclusive tops are given; fractions belong to the next band."""
    at = bisect.bisect_left(tops, number)
    if at == len(tops):
        return f"{tops[-1] + 1}+"
    low = tops[at - 1] + 1 if at else 0
    return str(tops[at]) if low == tops[at] else f"{low}-{tops[at]}"
