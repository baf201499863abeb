from __future__ import annotations

from datetime import UTC, datetime

import pytest

from keeper_grpc.gen.keeper.network.v1.adoption_pb2 import (
    DISMISSAL_REASON_NO_CAPACITY,
    Adoption,
    DismissalReason,
)
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi, Metric
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse
from keeper_grpc.terminal.output.as_json import report_json
from keeper_grpc.terminal.output.quantities import value_of
from keeper_grpc.terminal.output.report import WITHHELD, full, kpi_line
from tests.unit.terminal.rendered import rendered


def estimated(unit: Metric.Unit.ValueType, value: float, lower: float, upper: float) -> Metric:
    """A metric of 30 things with its interval."""
    metric = Metric(unit=unit, value=value, sample_size=30)
    metric.interval.lower, metric.interval.upper = lower, upper
    return metric


def kpi(name: Kpi.Name.ValueType, target: float, status: Kpi.Status.ValueType, now: Metric) -> Kpi:
    """A KPI."""
    return Kpi(name=name, target=target, status=status, metric=now)


def report() -> GetNetworkMetricsResponse:
    """A report with one KPI that is met, one that is missed and one that nothing is known of."""
    made = GetNetworkMetricsResponse(
        kpis=[
            kpi(
                Kpi.NAME_DISCOVERY_RATE,
                10,
                Kpi.STATUS_MET,
                estimated(Metric.UNIT_PER_WEEK, 12.24, 8.8, 16.4),
            ),
            kpi(
                Kpi.NAME_SUCCESS_RATE_IMPROVEMENT,
                0.2,
                Kpi.STATUS_MISSED,
                estimated(Metric.UNIT_SHARE, 0.051, -0.0401, 0.142),
            ),
            kpi(
                Kpi.NAME_TIME_TO_FIRST_INSIGHT,
                86400,
                Kpi.STATUS_NOT_ENOUGH_DATA,
                Metric(unit=Metric.UNIT_SECONDS),
            ),
        ],
        published_pattern_count=1234,
    )
    made.window_start_time.FromDatetime(datetime(2026, 10, 26, tzinfo=UTC))
    made.as_of_time.FromDatetime(datetime(2026, 11, 25, 21, 3, 4, tzinfo=UTC))
    made.metrics.enhanced_rate.CopyFrom(estimated(Metric.UNIT_SHARE, 0.0, 0.0, 0.11))
    return made


def test_what_advice_brings_comes_first() -> None:
    """Where it is measured: the difference, its interval, and the outcomes it is made of."""
    measured = report()
    measured.uplift.difference.CopyFrom(estimated(Metric.UNIT_SHARE, 0.25, 0.131, 0.368))
    measured.uplift.advised_count, measured.uplift.advised_success_count = 674, 528
    measured.uplift.held_out_count, measured.uplift.held_out_success_count = 341, 182
    assert rendered(full(measured, "", 200), 200)[2] == (
        "uplift of advice: +25 points (95% interval on any day +13.1 to +36.8); "
        "528 of 674 succeeded with it, 182 of 341 held out"
    )


def test_what_became_of_advice_is_said_before_the_tables() -> None:
    """The funnel, and below it the reasons that enough owners gave."""
    reacted = report()
    reacted.adoption.CopyFrom(
        Adoption(
            shown_count=1200,
            accepted_count=900,
            dismissed_count=200,
            done_count=800,
            adoption_rate=0.75,
            account_count=12,
            dismissals=[
                Adoption.Dismissals(reason=DISMISSAL_REASON_NO_CAPACITY, count=90),
                Adoption.Dismissals(reason=DismissalReason.ValueType(99), count=40),
            ],
        )
    )
    assert rendered(full(reacted, "", 200), 200)[2:4] == [
        "adoption of advice: shown 1,200, accepted 900 (75%), dismissed 200, done 800; 12 accounts",
        "dismissed because: no capacity 90, another reason 40",
    ]
    assert report_json(reacted)["adoption"]["done_count"] == "800"


def test_without_reactions_of_enough_accounts_the_funnel_is_not_known() -> None:
    """It is said to be unknown, in JSON by its absence, and is never a row of zeros."""
    assert (
        rendered(full(report(), "", 200), 200)[2]
        == "adoption of advice: not enough data: too few accounts have reported reactions so far"
    )
    assert "adoption" not in report_json(report())


def test_a_report_says_of_each_kpi_where_it_stands_and_why() -> None:
    """Value, interval, target, status and sample stand in one line of an ordinary terminal."""
    assert rendered(full(report(), "", 80), 80)[:10] == [
        "whole network, 2026-10-26 to 2026-11-25 21:03:04 UTC",
        "published patterns: 1,234",
        "adoption of advice: not enough data: too few accounts have reported reactions so",
        "far",
        "",
        "KPI                      now (95% interval)        target        status  sample",
        "─" * 79,
        "discovery rate           12.2 a week (8.8 to 16.4) >= 10 a week  met         30",
        "success rate improvement +5.1 points (-4 to +14.2) >= +20 points missed      30",
        "time to first insight    not enough data           <= 24 h       unknown   none",
    ]


def test_zero_is_distinguished_from_unknown() -> None:
    """A share of zero is a number with an interval; without data there is none at all."""
    lines = rendered(full(report(), "", 100), 100)
    (known,) = (line for line in lines if line.startswith("enhanced rate"))
    (unknown,) = (line for line in lines if line.startswith("cross pollination rate"))
    assert known.removeprefix("enhanced rate").split() == ["0%", "(0", "to", "11)", "30"]
    assert unknown.removeprefix("cross pollination rate").split() == [
        "not",
        "enough",
        "data",
        "none",
    ]


def test_a_narrow_screen_gets_sentences() -> None:
    """Where the table would not fit, nothing is cut off."""
    lines = rendered(full(report(), "", 50), 50)
    assert max(map(len, lines)) <= 50
    assert "12.2 a week (95% interval 8.8 to 16.4)" in " ".join(lines)
    assert "target <= 24 h: unknown" in " ".join(lines)


def test_a_withheld_report_has_no_number() -> None:
    """Too few accounts: said in words, and in JSON nothing but the times."""
    withheld = GetNetworkMetricsResponse(withheld=True)
    withheld.as_of_time.CopyFrom(report().as_of_time)
    assert WITHHELD in rendered(full(withheld, "gym", 200), 200)
    assert report_json(withheld) == {"as_of_time": "2026-11-25T21:03:04Z", "withheld": True}


def test_json_leaves_out_what_is_not_known_and_keeps_zeros() -> None:
    """A program can tell no value from a value of zero."""
    content = report_json(report())
    assert content["metrics"]["enhanced_rate"]["value"] == 0
    assert "cross_pollination_rate" not in content["metrics"]
    assert "value" not in content["kpis"][2]["metric"]
    assert content["kpis"][2]["status"] == "STATUS_NOT_ENOUGH_DATA"


def test_a_kpi_of_a_newer_server_is_shown() -> None:
    """Names, units and statuses that this program does not know do not stop it."""
    newer = Kpi()
    newer.ParseFromString(b"\x08\x63\x12\x0b\x09\x00\x00\x00\x00\x00\x00\x00\x40\x10\x63\x20\x63")
    assert kpi_line(newer) == "KPI 99: 2.00, sample none, target >= 0.00: not said"


@pytest.mark.parametrize(
    ("metric", "difference", "said"),
    [
        (estimated(Metric.UNIT_SHARE, 0.5, 0.34, 0.661), False, "50% (34 to 66.1)"),
        (estimated(Metric.UNIT_SHARE, -0.0001, -0.1, 0.1), True, "-0.01 points (-10 to +10)"),
        (Metric(unit=Metric.UNIT_SHARE, value=0.0), True, "+0 points"),
        (Metric(unit=Metric.UNIT_SHARE, value=0.00094), True, "+0.09 points"),
        (Metric(unit=Metric.UNIT_SHARE, value=0.00106), True, "+0.1 points"),
        (estimated(Metric.UNIT_RATIO, 3.41, 3.1, 3.9), False, "3.4 times (3.1 to 3.9)"),
        (estimated(Metric.UNIT_CURRENCY, 431.2, 310, 1600.5), False, "431.20 (310 to 1,600)"),
        (estimated(Metric.UNIT_SECONDS, 90, 30, 7200), False, "90 s (30 s to 2 h)"),
        (estimated(Metric.UNIT_SECONDS, 86400, 7200, 259200), False, "24 h (2 h to 3 days)"),
        (Metric(unit=Metric.UNIT_COUNT, value=1234), False, "1,234"),
        (Metric(unit=Metric.UNIT_COUNT, sample_size=2), False, "not enough data"),
    ],
)
def test_a_number_is_written_in_its_unit(metric: Metric, difference: bool, said: str) -> None:
    """The unit once, the interval in the same, spans of time in what they are read in."""
    assert value_of(metric, difference=difference) == said
