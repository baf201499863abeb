from __future__ import annotations

import itertools
import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.metrics.formulas import (
    TARGETS,
    Kpi,
    KpiName,
    Metric,
    MetricsReport,
    Status,
    Unit,
    report,
    window_start,
)
from keeper_grpc.domain.metrics.inputs import (
    AccountCounts,
    Day,
    Gathered,
    Newcomer,
    PatternCounts,
    Prediction,
    Totals,
)
from keeper_grpc.domain.metrics.uplift import Arm

NOW = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)
START = window_start(NOW, timedelta(days=30))
K = 3
EVERYBODY = AccountCounts(*[20] * 9)
ACTIVE = Gathered(accounts=EVERYBODY, since=date(2020, 1, 1))


def made(gathered: Gathered) -> MetricsReport:
    """The report of the last thirty days."""
    return report(gathered, K, NOW, START)


def kpi(gathered: Gathered, name: KpiName) -> Kpi:
    """One KPI of it."""
    (found,) = [kpi for kpi in made(gathered).kpis if kpi.name is name]
    return found


OWNERS = itertools.count()


def newcomer(
    *, met: bool = True, advised: float | None = 1, success: float | None = None
) -> Newcomer:
    """An account by hours from its joining to what happened to it."""
    return Newcomer(
        met,
        None if advised is None else advised * 3600,
        None if success is None else success * 3600,
        f"owner-{next(OWNERS)}",
    )


def test_a_window_begins_at_the_midnight_of_its_first_day() -> None:
    """Whole days (UTC): a day is counted or not, so that its counts can be kept as one row."""
    assert window_start(NOW, timedelta(hours=1)) == datetime(2026, 3, 10, tzinfo=UTC)
    assert window_start(NOW, timedelta(days=1)) == datetime(2026, 3, 9, tzinfo=UTC)


def test_a_report_of_fewer_than_k_accounts_is_withheld() -> None:
    """Whatever two accounts did is theirs."""
    gathered = replace(ACTIVE, totals=Totals(observations=500, questions=500, enhanced=400))
    told = made(replace(gathered, accounts=replace(EVERYBODY, active=2)))
    assert told.metrics is None
    assert (told.kpis, told.days, told.published_patterns) == ((), (), 0)
    assert made(replace(gathered, accounts=replace(EVERYBODY, active=3))).metrics is not None


NEEDS = {
    "asked": {"enhanced rate", "questions of a day"},
    "enhanced": {"boost", "loss", "time to insight", "from elsewhere"},
    "observed": {"discovered", "discovery rate", "cross application", "observations of a day"},
    "advised": {"successes", "improvement", "accuracy", "outcomes of a day", "held out of a day"},
    "revenue": {"revenue", "revenue per pattern"},
    "held_out": {"improvement", "held out of a day"},
    "advised_retention": {"retention"},
    "held_out_retention": {"retention"},
}
"""The metrics that are empty where fewer than k accounts did so."""


@pytest.mark.parametrize("did", NEEDS)
def test_every_number_needs_k_accounts_that_did_what_it_counts(did: str) -> None:
    """Twenty accounts may be active while two ask, or report: that is theirs, day by day too."""
    totals = Totals(
        questions=80,
        answered=60,
        enhanced=60,
        from_elsewhere=20,
        confidence_added=6.0,
        exploration_loss=0.3,
        advised=Arm(50, 40),
        compared=Arm(50, 40),
        held_out=Arm(50, 20),
        advised_retention=Arm(50, 40),
        held_out_retention=Arm(50, 20),
        advised_measured=50,
        advised_revenue=900.0,
    )
    day = Day(START.date(), 4, 50, 80, 60, Arm(50, 40), Arm(50, 20))
    enough = replace(
        ACTIVE,
        totals=totals,
        patterns=PatternCounts(discovered=30, in_use=40, shared=30),
        lags=[60.0] * 20,
        paid_patterns=2,
        predictions=[Prediction(20, 16, 16.0, 3.2, 0.1)] * 10,
        days=[day],
    )
    assert not unknown(enough)
    few = replace(enough, accounts=replace(EVERYBODY, **{did: 2}))
    assert unknown(few) == NEEDS[did]


def unknown(gathered: Gathered) -> set[str]:
    """The metrics that are empty for it."""
    told = made(gathered)
    metrics = told.metrics
    assert metrics is not None
    numbers = {
        "discovered": metrics.patterns_discovered,
        "successes": metrics.total_success_applications,
        "revenue": metrics.revenue_generated_network,
        "boost": metrics.average_confidence_boost,
        "loss": metrics.exploration_loss,
        "time to insight": metrics.time_to_insight,
        "from elsewhere": metrics.cross_pollination_rate,
        "enhanced rate": metrics.enhanced_rate,
        "discovery rate": kpi(gathered, KpiName.DISCOVERY_RATE).metric,
        "cross application": kpi(gathered, KpiName.CROSS_APPLICATION_RATE).metric,
        "improvement": kpi(gathered, KpiName.SUCCESS_RATE_IMPROVEMENT).metric,
        "accuracy": kpi(gathered, KpiName.PATTERN_ACCURACY).metric,
        "revenue per pattern": kpi(gathered, KpiName.REVENUE_PER_PATTERN).metric,
        "retention": kpi(gathered, KpiName.RETENTION_IMPROVEMENT).metric,
    }
    absent = {name for name, metric in numbers.items() if metric.value is None}
    assert all(numbers[name].sample_size == 0 for name in absent)
    (day,) = told.days
    of_a_day = {
        "questions of a day": day.questions + day.enhanced,
        "observations of a day": day.observations + day.patterns_discovered,
        "outcomes of a day": day.advised.trials,
        "held out of a day": day.held_out.trials,
    }
    return absent | {name for name, count in of_a_day.items() if not count}


@pytest.mark.parametrize("k", [3, 10])
def test_no_median_is_of_fewer_than_k_accounts(k: int) -> None:
    """Nor of fewer than five; for fewer than k the sample size is withheld, too."""
    for accounts in range(1, 15):
        gathered = replace(ACTIVE, newcomers=[newcomer(success=2) for _ in range(accounts)])
        kpis = {found.name: found.metric for found in report(gathered, k, NOW, START).kpis}
        waits = kpis[KpiName.TIME_TO_FIRST_INSIGHT]
        assert (waits.value is not None) == (accounts >= max(k, 5))
        for name in (KpiName.TIME_TO_FIRST_INSIGHT, KpiName.VALUE_ACCELERATION):
            assert kpis[name].sample_size == (accounts if accounts >= k else 0)


def test_an_empty_network_has_no_numbers_but_counts() -> None:
    """What is not known is said to be unknown, and is never zero."""
    metrics = made(ACTIVE).metrics
    assert metrics is not None
    assert metrics.patterns_discovered.value == 0
    assert metrics.total_success_applications.value == 0
    for unknown in (
        metrics.average_confidence_boost,
        metrics.exploration_loss,
        metrics.time_to_insight,
        metrics.cross_pollination_rate,
        metrics.enhanced_rate,
    ):
        assert unknown.value is None
    for found in made(ACTIVE).kpis:
        if found.name is not KpiName.DISCOVERY_RATE:
            assert found.status is Status.NOT_ENOUGH_DATA, found.name


def test_shares_come_with_their_interval_and_sample() -> None:
    """18 of 20 questions enhanced, 6 of the 18 from elsewhere, 0.9 confidence added in all."""
    totals = Totals(questions=20, answered=18, enhanced=18, from_elsewhere=6, confidence_added=0.9)
    metrics = made(replace(ACTIVE, totals=totals)).metrics
    assert metrics is not None
    assert metrics.enhanced_rate == Metric(0.9, Unit.SHARE, 20, Arm(20, 18).interval())
    assert metrics.cross_pollination_rate.value == pytest.approx(1 / 3)
    assert metrics.average_confidence_boost.value == pytest.approx(0.05)


def test_patterns_are_discovered_by_the_week_of_the_network_s_age() -> None:
    """A network of two weeks is not blamed for the two before it was there; one of days says nothing.

    Thirty patterns in the 31 days that a window of thirty touches, or in fifteen days.
    """
    found = replace(ACTIVE, patterns=PatternCounts(discovered=30))
    assert kpi(found, KpiName.DISCOVERY_RATE).metric.value == pytest.approx(30 / 31 * 7)
    young = replace(found, since=(NOW - timedelta(days=14)).date())
    assert kpi(young, KpiName.DISCOVERY_RATE).metric.value == pytest.approx(14.0)
    assert kpi(young, KpiName.DISCOVERY_RATE).status is Status.MET
    newborn = replace(found, since=(NOW - timedelta(days=6)).date())
    assert kpi(newborn, KpiName.DISCOVERY_RATE).status is Status.NOT_ENOUGH_DATA


def test_the_first_insight_is_waited_for_also_by_those_who_have_none() -> None:
    """Five accounts: three got advice after 1, 2 and 30 hours, two are still without."""
    waits = [newcomer(advised=hours, met=False) for hours in (1.0, 2.0, 30.0, None, None)]
    found = kpi(replace(ACTIVE, newcomers=waits), KpiName.TIME_TO_FIRST_INSIGHT)
    assert found.metric == Metric(110_000.0, Unit.SECONDS, 5)
    assert found.status is Status.MISSED
    assert found.target == 24 * 3600
    few = replace(ACTIVE, newcomers=waits[:4])
    assert kpi(few, KpiName.TIME_TO_FIRST_INSIGHT).status is Status.NOT_ENOUGH_DATA
    waiting = [*waits[:2], *waits[3:], waits[4]]
    assert (
        kpi(replace(ACTIVE, newcomers=waiting), KpiName.TIME_TO_FIRST_INSIGHT).metric.value is None
    )


def test_value_comes_sooner_to_those_whom_advice_met() -> None:
    """Five accounts met with advice succeed after 10 hours, five others after 40: four times."""
    met = [newcomer(success=10) for _ in range(5)]
    unmet = [newcomer(success=40, met=False) for _ in range(5)]
    found = kpi(replace(ACTIVE, newcomers=met + unmet), KpiName.VALUE_ACCELERATION)
    assert (found.metric.value, found.status) == (4.0, Status.MET)
    waiting = [*unmet[:2], *(replace(one, succeeded_after=None) for one in unmet[2:])]
    unknown = kpi(replace(ACTIVE, newcomers=met + waiting), KpiName.VALUE_ACCELERATION)
    assert unknown.metric.value is None


def test_a_prediction_holds_within_its_interval() -> None:
    """Twenty outcomes at 0.8: 16 expected, give or take 3.5, and half a success for whole counts."""
    base = Prediction(20, 16, 16.0, 20 * 0.8 * 0.2, 0.0)
    edge = 1.959964 * math.sqrt(3.2) + 0.5
    assert base.held
    assert replace(base, expected=16 + edge - 1e-9).held
    assert not replace(base, expected=16 + edge + 1e-6).held
    unsure = replace(base, expected=16 + edge + 1e-6, deviation=2.0)
    assert unsure.held
    assert not replace(base, outcomes=19).judged
    predictions = [base] * 9 + [replace(base, successes=2)] + [replace(base, outcomes=19)] * 5
    accuracy = kpi(replace(ACTIVE, predictions=predictions), KpiName.PATTERN_ACCURACY)
    assert (accuracy.metric.value, accuracy.metric.sample_size) == (0.9, 10)
    assert accuracy.status is Status.MET


def test_every_kpi_has_a_target_and_is_reported_once() -> None:
    """The order is that of the source design."""
    assert [found.name for found in made(ACTIVE).kpis] == list(KpiName) == list(TARGETS)


@given(
    questions=st.integers(0, 1000),
    enhanced=st.integers(0, 1000),
    advised=st.tuples(st.integers(0, 500), st.integers(0, 500)),
    held_out=st.tuples(st.integers(0, 500), st.integers(0, 500)),
)
def test_every_number_lies_in_its_interval(
    questions: int, enhanced: int, advised: tuple[int, int], held_out: tuple[int, int]
) -> None:
    """Shares in [0, 1], differences in [-1, 1], each inside of its own interval."""
    totals = Totals(
        questions=max(questions, enhanced),
        answered=enhanced,
        enhanced=enhanced,
        from_elsewhere=enhanced // 2,
        advised=Arm(max(advised), min(advised)),
        compared=Arm(max(advised), min(advised)),
        held_out=Arm(max(held_out), min(held_out)),
        advised_retention=Arm(max(advised), min(advised)),
        held_out_retention=Arm(max(held_out), min(held_out)),
    )
    told = made(replace(ACTIVE, totals=totals))
    assert told.metrics is not None
    numbers = [
        told.metrics.cross_pollination_rate,
        told.metrics.enhanced_rate,
        *(found.metric for found in told.kpis),
    ]
    for number in numbers:
        if number.value is not None and number.interval is not None:
            low, high = number.interval
            assert -1 <= low <= number.value <= high <= 1
