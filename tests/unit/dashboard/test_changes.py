from __future__ import annotations

from datetime import UTC, datetime, timedelta

from keeper_grpc.dashboard.sections.changes import changes
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


def test_the_second_half_is_held_beside_the_first() -> None:
    """A window of 30 days and today: 15 days and the 15 before; what is older than both is in neither."""
    found = changes(
        report(
            30,
            (30, {"patterns_discovered": 9}),
            (29, {"patterns_discovered": 2}),
            (14, {"patterns_discovered": 4}),
            (0, {"patterns_discovered": 1}),
        )
    )
    assert found == {
        Kpi.NAME_DISCOVERY_RATE: "\N{UPWARDS ARROW} 5 new in the last 15 days, 2 before"
    }


def arms(advised: int, held_out: int) -> dict[str, int]:
    """Outcomes of both arms: with advice all succeed, without it none."""
    return {
        "advised_count": advised,
        "advised_success_count": advised,
        "held_out_count": held_out,
        "held_out_success_count": 0,
    }


def test_an_improvement_needs_enough_outcomes_in_both_halves() -> None:
    """Nineteen in one arm of one half are too few for a comparison."""
    full = arms(20, 20)
    assert Kpi.NAME_SUCCESS_RATE_IMPROVEMENT in changes(report(30, (20, full), (1, full)))
    few = changes(report(30, (20, full), (1, arms(20, 19))))
    assert Kpi.NAME_SUCCESS_RATE_IMPROVEMENT not in few


def test_nothing_is_said_of_a_withheld_or_empty_report() -> None:
    """What is not known has not changed."""
    assert not changes(report(30))
    withheld = report(30, (1, {"patterns_discovered": 1}))
    withheld.withheld = True
    assert not changes(withheld)
