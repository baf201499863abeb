from __future__ import annotations

from datetime import UTC, datetime, timedelta

from keeper_grpc.dashboard.filters import Dates
from keeper_grpc.dashboard.sections.changes import (
    Periods,
    kpi_changes,
    metric_changes,
    series,
    shown_dates,
)
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi, NetworkDay
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)


def report(days: int, *told: tuple[int, dict[str, int]]) -> GetNetworkMetricsResponse:
    """A report of so many days; what happened so many days ago."""
    made = GetNetworkMetricsResponse()
    made.as_of_time.FromDatetime(NOW)
    made.window_start_time.FromDatetime((NOW - timedelta(days=days)).replace(hour=0))
    for ago, counts in told:
        day = NetworkDay()
        for name, count in counts.items():
            setattr(day, name, count)
        day.start_time.FromDatetime((NOW - timedelta(days=ago)).replace(hour=0))
        made.days.append(day)
    return made


MONTH = shown_dates(report(30), 30, None)
"""The last thirty days, today included."""


def periods(made: GetNetworkMetricsResponse) -> Periods | None:
    """Those thirty days of a report, and the thirty before."""
    return Periods.of(made, MONTH)


def test_the_period_is_held_beside_as_many_days_before_it() -> None:
    """Thirty days with today, and the thirty before; what is older than both is in neither."""
    found = periods(
        report(
            60,
            (60, {"patterns_discovered": 9}),
            (59, {"patterns_discovered": 2}),
            (30, {"patterns_discovered": 1}),
            (29, {"patterns_discovered": 4}),
            (0, {"patterns_discovered": 1}),
        )
    )
    assert kpi_changes(found) == {
        Kpi.NAME_DISCOVERY_RATE: "\N{UPWARDS ARROW} 5 new in 30 days, 3 in the 30 days before"
    }
    assert metric_changes(found) == {
        "patterns_discovered": "\N{UPWARDS ARROW} from 3 in the period before"
    }


def test_chosen_dates_are_held_beside_those_before_them() -> None:
    """Both ends are included."""
    last = NOW.date() - timedelta(days=10)
    chosen = Dates(last - timedelta(days=4), last)
    found = Periods.of(
        report(
            60,
            (20, {"question_count": 100}),
            (19, {"question_count": 10, "enhanced_count": 1}),
            (14, {"question_count": 10, "enhanced_count": 5}),
            (10, {"question_count": 10, "enhanced_count": 5}),
            (9, {"question_count": 100}),
        ),
        chosen,
    )
    assert found is not None
    assert (found.before.question_count, found.now.question_count) == (10, 20)
    assert metric_changes(found)["enhanced_rate"] == (
        "\N{UPWARDS ARROW} from 10% in the period before"
    )


def arms(advised: int, held_out: int) -> dict[str, int]:
    """Outcomes of both arms: with advice all succeed, without it none."""
    return {
        "advised_count": advised,
        "advised_success_count": advised,
        "held_out_count": held_out,
        "held_out_success_count": 0,
    }


def test_an_improvement_needs_enough_outcomes_in_both_periods() -> None:
    """Nineteen in one arm of one period are too few for a comparison."""
    full = arms(20, 20)
    told = kpi_changes(periods(report(60, (40, full), (1, full))))
    assert Kpi.NAME_SUCCESS_RATE_IMPROVEMENT in told
    few = kpi_changes(periods(report(60, (40, full), (1, arms(20, 19)))))
    assert Kpi.NAME_SUCCESS_RATE_IMPROVEMENT not in few


def test_nothing_is_said_of_what_is_not_known() -> None:
    """A report that is withheld, empty, missing, or does not reach back over the period before."""
    assert periods(report(60)) is None
    assert Periods.of(None, MONTH) is None
    day = (1, {"patterns_discovered": 1})
    assert periods(report(30, day)) is None
    withheld = report(60, day)
    withheld.withheld = True
    assert periods(withheld) is None
    assert not kpi_changes(None)
    assert not metric_changes(None)
    assert series(withheld, MONTH, lambda step: float(step.patterns_discovered)) == []


def test_a_curve_has_a_dozen_steps_at_most_and_all_that_was_counted() -> None:
    """A month in ten steps of three days: nothing falls between them."""
    made = report(60, (29, {"patterns_discovered": 2}), (0, {"patterns_discovered": 3}))
    steps = series(made, MONTH, lambda step: float(step.patterns_discovered))
    assert steps == [2.0, *8 * [0.0], 3.0]
