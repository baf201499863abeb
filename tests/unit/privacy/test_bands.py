"""Exact figures become bands."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.privacy.conditions import bands


@pytest.mark.parametrize(
    ("amount", "band"),
    [
        (0, "low"),
        (99.99, "low"),
        (100, "medium"),
        (499.99, "medium"),
        (500, "high"),
        (-750, "high"),
    ],
)
def test_money_has_three_ranges(amount: float, band: str) -> None:
    """Low < 100 <= medium < 500 <= high, whatever the sign."""
    assert bands.money(amount) == band


@pytest.mark.parametrize(
    ("amount", "step"),
    [
        (0, "low_amount_under_5"),
        (4.99, "low_amount_under_5"),
        (10, "low_amount_10_14"),
        (14.99, "low_amount_10_14"),
        (50, "low_amount_50_74"),
        (99.99, "low_amount_75_99"),
        (100, "medium_amount_100_149"),
        (-120, "medium_amount_100_149"),
        (500, "high_amount_500_999"),
        (1_250, "high_amount_1000_and_over"),
    ],
)
def test_a_sum_in_a_text_keeps_its_step(amount: float, step: str) -> None:
    """So that $10 off and $50 off stay two offers; the step never crosses its range."""
    assert bands.amount(amount) == step


@pytest.mark.parametrize(
    ("days", "band"),
    [
        (0, "0-7"),
        (7, "0-7"),
        (8, "8-14"),
        (30, "15-30"),
        (45, "31-60"),
        (180, "91-180"),
        (181, "181+"),
    ],
)
def test_days_fall_into_the_documented_bands(days: float, band: str) -> None:
    """The bands have inclusive tops."""
    assert bands.days(days) == band


@given(st.floats(min_value=0, max_value=10_000))
def test_every_number_of_days_has_exactly_one_band(days: float) -> None:
    """Fractions between two bands belong to the upper one; nothing falls between."""
    band = bands.days(days)
    low, _, top = band.rstrip("+").partition("-")
    assert days > int(low) - 1
    assert band.endswith("+") or days <= int(top)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_two_digits_are_idempotent_and_near(value: float) -> None:
    """Rounding twice changes nothing, and the error stays under five percent."""
    rounded = bands.two_digits(value)
    assert bands.two_digits(rounded) == rounded
    assert abs(rounded - value) <= abs(value) * 0.0501


def test_not_a_number_is_no_amount() -> None:
    """A value that is no number cannot be shared as one."""
    assert bands.two_digits(float("nan")) == 0.0
    assert bands.two_digits(float("inf")) == 0.0


@pytest.mark.parametrize(
    ("hour", "part"),
    [(3, "night"), (5, "morning"), (12, "afternoon"), (17, "evening"), (21, "night")],
)
def test_a_clock_time_becomes_a_part_of_the_day(hour: int, part: str) -> None:
    """Only the part of the day is shared."""
    assert bands.part_of_day(datetime(2026, 1, 5, hour)) == part  # noqa: DTZ001  # only the hour matters


@pytest.mark.parametrize(
    ("years", "band"), [(17, "under 18"), (18, "18-24"), (64, "55-64"), (65, "65+")]
)
def test_ages_become_bands(years: int, band: str) -> None:
    """No exact age is shared."""
    assert bands.age(years) == band
