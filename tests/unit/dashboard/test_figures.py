from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.client.days import ENOUGH, Bucket, buckets
from keeper_grpc.dashboard.filters import WINDOWS, Filter
from keeper_grpc.dashboard.look import figures
from keeper_grpc.dashboard.look.claims import claimed
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Interval, Metric, NetworkDay
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import AuthorClaim

TODAY = date(2026, 11, 25)


def test_a_claim_has_a_row_for_each_figure_that_is_stated() -> None:
    """None for what the author leaves out, and none at all for a pattern of the network's own."""
    claim = AuthorClaim(
        follow_up_action="Offer a complimentary service",
        learned_from=47,
        monthly_revenue_dollars=1800,
        adoption_rate=0.84,
        improvement_factor=2.3,
    )
    claim.improvement_period.FromTimedelta(timedelta(days=30))
    assert list(claimed(claim)) == [
        ("Learned from", "47 businesses"),
        ("Revenue", "$1,800 more a month, on average"),
        ("Adoption rate", "84%"),
        ("Improvement", "2.3 times as good within 30 days"),
        ("Afterwards", "Offer a complimentary service"),
    ]
    assert list(claimed(AuthorClaim())) == []


@pytest.mark.parametrize("unit", [unit for unit in Metric.Unit.values() if unit])
def test_a_number_that_is_not_known_is_never_a_zero(unit: Metric.Unit.ValueType) -> None:
    """Without a value there are words; a value of zero is a number."""
    assert figures.figure(Metric(unit=unit, sample_size=3)) == "Not enough data"
    assert "0" in figures.figure(Metric(unit=unit, value=0.0))


@pytest.mark.parametrize(
    ("unit", "value", "said"),
    [
        (Metric.UNIT_COUNT, 1234, "1,234"),
        (Metric.UNIT_SHARE, 0.624, "62%"),
        (Metric.UNIT_SHARE, 0.083, "8.3%"),
        (Metric.UNIT_SHARE, 0.0996, "10%"),
        (Metric.UNIT_CURRENCY, 41830.4, "41,830"),
        (Metric.UNIT_CURRENCY, -12.5, "-12.50"),
        (Metric.UNIT_SECONDS, 86400, "24 hours"),
        (Metric.UNIT_SECONDS, 3 * 86400, "3 days"),
        (Metric.UNIT_SECONDS, 90, "1.5 minutes"),
        (Metric.UNIT_SECONDS, 4, "4 seconds"),
        (Metric.UNIT_PER_WEEK, 14.74, "14.7 a week"),
        (Metric.UNIT_RATIO, 3, "3 times"),
    ],
)
def test_numbers_are_said_with_their_unit(
    unit: Metric.Unit.ValueType, value: float, said: str
) -> None:
    """Each unit has its own form, with as many digits as say something."""
    assert figures.number(value, unit) == said


def test_a_difference_of_shares_is_in_points() -> None:
    """Points, with the sign; a target has none."""
    metric = Metric(
        value=0.134, unit=Metric.UNIT_SHARE, interval=Interval(lower=-0.041, upper=0.226)
    )

    assert figures.figure(metric, difference=True) == "+13.4 points"
    assert figures.interval(metric, difference=True) == "-4.1 to +22.6 points"
    assert figures.target(0.2, Metric.UNIT_SHARE, difference=True) == "20 points"


def test_an_interval_that_was_not_estimated_is_not_said() -> None:
    """Counts have none."""
    assert figures.interval(Metric(value=3, unit=Metric.UNIT_COUNT)) == ""
    share = Metric(value=0.5, unit=Metric.UNIT_SHARE, interval=Interval(lower=0.4, upper=0.6))
    assert figures.interval(share) == "40% to 60%"


def network_day(day: date, questions: int) -> NetworkDay:
    """A day of the API's, with one enhanced question among them."""
    found = NetworkDay(question_count=questions, enhanced_count=1)
    found.start_time.FromDatetime(datetime(day.year, day.month, day.day, tzinfo=UTC))
    return found


@given(
    st.lists(st.integers(0, 400), unique=True, max_size=30),
    st.sampled_from([7, 30, 90, 365]),
    st.sampled_from([1, 7, 28]),
)
def test_steps_cover_the_window_once_and_lose_nothing(
    ago: list[int], window: int, size: int
) -> None:
    """They follow each other from first to last day, and their counts add up to the window's."""
    first = TODAY - timedelta(days=window)
    days = [network_day(TODAY - timedelta(days=back), back + 1) for back in ago]

    steps = buckets(days, first, TODAY, size)

    covered = [step.start + timedelta(days=n) for step in steps for n in range(step.days)]
    assert covered == [first + timedelta(days=n) for n in range(window + 1)]
    assert all(step.days == size for step in steps[1:])
    assert sum(step.question_count for step in steps) == sum(n + 1 for n in ago if n <= window)
    assert sum(step.enhanced_count for step in steps) == sum(n <= window for n in ago)


def test_a_step_of_too_few_outcomes_has_no_rate() -> None:
    """One outcome fewer than enough says nothing; enough say how often."""
    few = Bucket(TODAY, 7, advised_count=ENOUGH - 1, advised_success_count=1)
    enough = Bucket(TODAY, 7, advised_count=ENOUGH, advised_success_count=ENOUGH)

    assert few.advised_rate is None
    assert few.held_out_rate is None
    assert enough.advised_rate == 1.0


def test_a_step_names_its_days() -> None:
    """One day by itself, several by the first and the last."""
    assert Bucket(TODAY, 1).label == "25 Nov"
    assert Bucket(TODAY, 7).label == "25 Nov \N{EN DASH} 01 Dec"


@given(st.sampled_from(["", "spa", "nail_salon"]), st.sampled_from(list(WINDOWS)))
def test_a_filter_survives_its_address(category: str, days: int) -> None:
    """What an address says is read back from it."""
    chosen = Filter(category, days)
    said = dict(part.split("=") for part in chosen.query.removeprefix("?").split("&"))

    assert Filter.from_query(said.get("category", ""), said["days"]) == chosen


@pytest.mark.parametrize(
    ("category", "days"), [("SPA", "30"), ("a b", "0"), ("../x", "31"), ("", "x")]
)
def test_what_an_address_may_not_hold_is_not_chosen(category: str, days: str) -> None:
    """Nothing that the API would refuse is asked of it."""
    assert Filter.from_query(category, days) == Filter()
