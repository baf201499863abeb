from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.metrics.formulas import report, window_start
from keeper_grpc.domain.metrics.inputs import (
    AccountCounts,
    Gathered,
    Newcomer,
    PatternCounts,
    Prediction,
    Totals,
)
from keeper_grpc.domain.metrics.uplift import Arm

NOW = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)
K = 3

Numbers = dict[str, float | None]

counts = st.integers(0, 40)
money = st.integers(-10_000, 100_000).map(lambda cents: cents / 100)
accounts = st.integers(0, 5)
waits = st.none() | st.integers(0, 100).map(float)
owners = st.sampled_from("abcdefgh")


@st.composite
def arms(draw: st.DrawFn) -> Arm:
    """Some trials, of which some succeeded."""
    trials = draw(counts)
    return Arm(trials, draw(st.integers(0, trials)))


@st.composite
def gatherings(draw: st.DrawFn) -> Gathered:
    """Anything that may have happened."""
    questions, advice = draw(arms()), draw(arms())
    patterns = draw(arms())
    return Gathered(
        totals=Totals(
            questions=questions.trials,
            answered=questions.successes,
            enhanced=advice.trials,
            from_elsewhere=advice.successes,
            confidence_added=draw(money),
            exploration_loss=draw(money),
            advised=draw(arms()),
            compared=draw(arms()),
            held_out=draw(arms()),
            advised_retention=draw(arms()),
            held_out_retention=draw(arms()),
            advised_measured=draw(counts),
            advised_revenue=draw(money),
        ),
        patterns=PatternCounts(draw(counts), patterns.trials, patterns.successes),
        lags=draw(st.lists(st.floats(0, 1e6), max_size=15)),
        predictions=draw(
            st.lists(
                st.builds(
                    Prediction,
                    outcomes=st.integers(15, 25),
                    successes=st.integers(0, 25),
                    expected=st.floats(0, 25),
                    variance=st.floats(0, 6),
                    deviation=st.floats(0, 3),
                ),
                max_size=15,
            )
        ),
        paid_patterns=draw(st.integers(0, 5)),
        newcomers=draw(
            st.lists(st.builds(Newcomer, st.booleans(), waits, waits, owners), max_size=15)
        ),
        accounts=AccountCounts(*(draw(accounts) for _ in range(9))),
        since=draw(st.none() | st.integers(0, 60).map(lambda d: (NOW - timedelta(days=d)).date())),
    )


@given(gathered=gatherings(), days=st.integers(0, 60))
def test_every_number_is_what_the_page_of_formulas_says(gathered: Gathered, days: int) -> None:
    """docs/metrics.md, written down a second time: value by value, known or not."""
    start = window_start(NOW, timedelta(days=days))
    told = report(gathered, K, NOW, start)
    if gathered.accounts.active < K:
        assert told.metrics is None
        assert not told.kpis
        return
    assert told.metrics is not None
    metrics = {name: getattr(told.metrics, name).value for name in told.metrics.__slots__}
    kpis = {kpi.name.value: kpi.metric.value for kpi in told.kpis}
    expected = metrics_of(gathered) | kpis_of(gathered, (NOW.date() - start.date()).days)
    assert metrics | kpis == {
        name: value if value is None else pytest.approx(value) for name, value in expected.items()
    }


def metrics_of(gathered: Gathered) -> Numbers:
    """The metrics."""
    totals, accounts = gathered.totals, gathered.accounts
    advice = accounts.enhanced >= K and totals.enhanced >= 10
    return {
        "patterns_discovered": gathered.patterns.discovered if accounts.observed >= K else None,
        "total_success_applications": totals.advised.successes if accounts.advised >= K else None,
        "revenue_generated_network": totals.advised_revenue if accounts.revenue >= K else None,
        "average_confidence_boost": totals.confidence_added / totals.enhanced if advice else None,
        "exploration_loss": totals.exploration_loss / totals.enhanced if advice else None,
        "time_to_insight": rounded(middle(gathered.lags))
        if accounts.enhanced >= K and len(gathered.lags) >= 10
        else None,
        "cross_pollination_rate": totals.from_elsewhere / totals.enhanced if advice else None,
        "enhanced_rate": totals.answered / totals.questions
        if accounts.asked >= K and totals.questions >= 10
        else None,
    }


def kpis_of(gathered: Gathered, days: int) -> Numbers:
    """The KPIs, over a window that began so many days before today."""
    totals, patterns, accounts = gathered.totals, gathered.patterns, gathered.accounts
    age = -1 if gathered.since is None else (NOW.date() - gathered.since).days
    full = min(days, age)
    judged = [each for each in gathered.predictions if each.outcomes >= 20]
    held = [
        abs(each.successes - each.expected)
        <= 1.959964 * math.sqrt(each.variance + each.deviation**2) + 0.5
        for each in judged
    ]
    met = [each for each in gathered.newcomers if each.met]
    unmet = [each for each in gathered.newcomers if not each.met]
    sooner, later = awaited(met, "succeeded_after"), awaited(unmet, "succeeded_after")
    return {
        "discovery_rate": patterns.discovered / (full + 1) * 7
        if accounts.observed >= K and full >= 7
        else None,
        "cross_application_rate": patterns.shared / patterns.in_use
        if accounts.observed >= K and patterns.in_use >= 10
        else None,
        "success_rate_improvement": difference(totals.compared, totals.held_out)
        if min(accounts.advised, accounts.held_out) >= K
        else None,
        "time_to_first_insight": rounded(awaited(gathered.newcomers, "advised_after")),
        "pattern_accuracy": sum(held) / len(held)
        if accounts.advised >= K and len(held) >= 10
        else None,
        "revenue_per_pattern": rounded(totals.advised_revenue / gathered.paid_patterns)
        if accounts.revenue >= K and gathered.paid_patterns
        else None,
        "retention_improvement": difference(totals.advised_retention, totals.held_out_retention)
        if min(accounts.advised_retention, accounts.held_out_retention) >= K
        else None,
        "value_acceleration": rounded(later / sooner) if sooner and later is not None else None,
    }


def rounded(value: float | None) -> float | None:
    """In two significant digits."""
    return None if value is None else float(f"{value:.1e}")


def difference(advised: Arm, held_out: Arm) -> float | None:
    """Of two rates, each of 20 outcomes or more."""
    if min(advised.trials, held_out.trials) < 20:
        return None
    return advised.successes / advised.trials - held_out.successes / held_out.trials


def awaited(newcomers: Sequence[Newcomer], what: str) -> float | None:
    """The median wait of five accounts of three owners or more; None while half of them still wait."""
    waits: list[float | None] = [getattr(each, what) for each in newcomers]
    if len(waits) < 5 or len({each.owner_key for each in newcomers}) < K:
        return None
    found = middle([math.inf if wait is None else wait for wait in waits])
    return None if math.isinf(found) else found


def middle(values: Sequence[float]) -> float:
    """The median."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
