"""What the network is worth: its metrics and KPIs, from plain numbers.

Storage gathers sums and lists (`Gathered`); everything that is a formula, a threshold or a target is
here. docs/metrics.md states each formula with where its numbers come from. A number that too little is
known for is None, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from statistics import median

from keeper_grpc.domain.uplift import Arm, Uplift, Z

ENOUGH = 10
"""Least sample of a share or a mean: below ten, one more case moves a share by ten points."""

ENOUGH_TO_COMPARE = 20
"""Least outcomes in each arm of a comparison: Newcombe's interval is then narrower than 60 points."""

ENOUGH_ACCOUNTS = 5
"""Least accounts behind a median of accounts: above k, so that no median is one account's own."""

JUDGED = 5
"""Least outcomes of a pattern's advice from which its prediction is judged: fewer refute nothing."""

WEEK = timedelta(days=7)

NONE = Arm(0, 0)


class Unit(Enum):
    """What a number is in. SHARE is also the difference of two shares."""

    COUNT = "count"
    SHARE = "share"
    CURRENCY = "currency"
    SECONDS = "seconds"
    PER_WEEK = "per_week"
    RATIO = "ratio"


class Status(Enum):
    """Whether a target is met."""

    MET = "met"
    MISSED = "missed"
    NOT_ENOUGH_DATA = "not_enough_data"


class KpiName(Enum):
    """The KPIs of the source design."""

    DISCOVERY_RATE = "discovery_rate"
    CROSS_APPLICATION_RATE = "cross_application_rate"
    SUCCESS_RATE_IMPROVEMENT = "success_rate_improvement"
    TIME_TO_FIRST_INSIGHT = "time_to_first_insight"
    PATTERN_ACCURACY = "pattern_accuracy"
    REVENUE_PER_PATTERN = "revenue_per_pattern"
    RETENTION_IMPROVEMENT = "retention_improvement"
    VALUE_ACCELERATION = "value_acceleration"


TARGETS = {
    KpiName.DISCOVERY_RATE: 10.0,
    KpiName.CROSS_APPLICATION_RATE: 0.60,
    KpiName.SUCCESS_RATE_IMPROVEMENT: 0.20,
    KpiName.TIME_TO_FIRST_INSIGHT: timedelta(hours=24).total_seconds(),
    KpiName.PATTERN_ACCURACY: 0.85,
    KpiName.REVENUE_PER_PATTERN: 500.0,
    KpiName.RETENTION_IMPROVEMENT: 0.15,
    KpiName.VALUE_ACCELERATION: 3.0,
}
"""The source design's (DESIGN.md, section 6). Improvements are read as points, the harder reading."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number and what it rests on; `value` is None when that is too little.

    `interval` holds the true value with 95% probability, where the value is an estimate.
    """

    value: float | None
    unit: Unit
    sample_size: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Kpi:
    """A metric and its target."""

    name: KpiName
    metric: Metric

    @property
    def target(self) -> float:
        """Where the metric should be: at most, for a time, else at least."""
        return TARGETS[self.name]

    @property
    def status(self) -> Status:
        """Whether it is there."""
        value = self.metric.value
        if value is None:
            return Status.NOT_ENOUGH_DATA
        met = value <= self.target if self.metric.unit is Unit.SECONDS else value >= self.target
        return Status.MET if met else Status.MISSED


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the window. Outcomes of advice are `advised`; `held_out` are those of the holdout.

    Questions that were held out are not among `questions`. Revenue is in the accounts' currencies.
    """

    observations: int = 0
    questions: int = 0
    enhanced: int = 0
    from_elsewhere: int = 0
    confidence_added: float = 0.0
    advised: Arm = NONE
    held_out: Arm = NONE
    advised_retention: Arm = NONE
    held_out_retention: Arm = NONE
    advised_measured: int = 0
    advised_revenue: float = 0.0


@dataclass(frozen=True, slots=True)
class PatternCounts:
    """Patterns first observed in the window, observed in it, those of several accounts among these,
    and all that are published now.
    """

    discovered: int = 0
    in_use: int = 0
    shared: int = 0
    published: int = 0


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one pattern's advice was expected to come to, and what it came to.

    Over its `outcomes`: sums of the expected rate, of its binomial variance and of the standard
    deviation with which it was known.
    """

    outcomes: int
    successes: int
    expected: float
    variance: float
    deviation: float

    @property
    def judged(self) -> bool:
        """Whether there are enough outcomes to judge it by."""
        return self.outcomes >= JUDGED

    @property
    def held(self) -> bool:
        """Whether the successes lie in the 95% predictive interval (normal approximation).

        Its variance is that of the outcomes plus that of the rate itself, which all of a pattern's
        outcomes have in common; half a success allows for counting in whole ones.
        """
        spread = math.sqrt(self.variance + self.deviation**2)
        return abs(self.successes - self.expected) <= Z * spread + 0.5


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An account that joined within the window and has asked.

    `met`: its first question was enhanced. The others are seconds from its joining, which may be
    negative where it asked before it was registered; None for what has not happened yet.
    """

    met: bool
    advised_after: float | None
    succeeded_after: float | None


@dataclass(frozen=True, slots=True)
class Day:
    """What happened on one day (UTC)."""

    day: date
    patterns_discovered: int = 0
    observations: int = 0
    questions: int = 0
    enhanced: int = 0
    advised: Arm = NONE
    held_out: Arm = NONE


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that metrics are computed from.

    `lags` are the seconds from a pattern's discovery to its first advice, of those that first gave
    advice in the window; `predictions` those of the patterns whose advice came to an outcome in it.
    The accounts are those active in the window, those with an outcome of advice or of the holdout,
    and those that measured such an outcome's revenue. `since` is the first day of all.
    """

    totals: Totals = Totals()
    patterns: PatternCounts = PatternCounts()
    lags: Sequence[float] = ()
    predictions: Sequence[Prediction] = ()
    newcomers: Sequence[Newcomer] = ()
    active_accounts: int = 0
    outcome_accounts: int = 0
    revenue_accounts: int = 0
    since: date | None = None
    days: Sequence[Day] = ()


@dataclass(frozen=True, slots=True)
class NetworkMetrics:
    """The six metrics of the source design, and the share of questions that were enhanced."""

    patterns_discovered: Metric
    total_success_applications: Metric
    revenue_generated_network: Metric
    average_confidence_boost: Metric
    time_to_insight: Metric
    cross_pollination_rate: Metric
    enhanced_rate: Metric


@dataclass(frozen=True, slots=True)
class Report:
    """What the network is worth over one window. Nothing but its times is known when withheld."""

    as_of: datetime
    window_start: datetime
    metrics: NetworkMetrics | None
    kpis: Sequence[Kpi] = ()
    days: Sequence[Day] = ()
    published_patterns: int = 0


def window_start(as_of: datetime, window: timedelta) -> datetime:
    """The midnight (UTC) that begins the day on which the window began."""
    return datetime.combine((as_of - window).astimezone(UTC).date(), time(), UTC)


def report(gathered: Gathered, k: int, as_of: datetime, start: datetime) -> Report:
    """Metrics and KPIs; withheld when fewer than k accounts were active in the window.

    What rests on outcomes or on revenue needs k accounts that reported those.
    """
    if gathered.active_accounts < k:
        return Report(as_of, start, None)
    return Report(
        as_of,
        start,
        _metrics(gathered, k),
        [
            Kpi(KpiName.DISCOVERY_RATE, _discovery_rate(gathered, as_of, start)),
            Kpi(KpiName.CROSS_APPLICATION_RATE, _cross_application_rate(gathered)),
            Kpi(
                KpiName.SUCCESS_RATE_IMPROVEMENT,
                _improvement(gathered.totals.advised, gathered.totals.held_out, gathered, k),
            ),
            Kpi(KpiName.TIME_TO_FIRST_INSIGHT, _time_to_first_insight(gathered)),
            Kpi(KpiName.PATTERN_ACCURACY, _pattern_accuracy(gathered)),
            Kpi(KpiName.REVENUE_PER_PATTERN, _revenue_per_pattern(gathered, k)),
            Kpi(
                KpiName.RETENTION_IMPROVEMENT,
                _improvement(
                    gathered.totals.advised_retention,
                    gathered.totals.held_out_retention,
                    gathered,
                    k,
                ),
            ),
            Kpi(KpiName.VALUE_ACCELERATION, _value_acceleration(gathered)),
        ],
        gathered.days,
        gathered.patterns.published,
    )


def _metrics(gathered: Gathered, k: int) -> NetworkMetrics:
    totals = gathered.totals
    told = gathered.outcome_accounts >= k or not totals.advised.trials
    measured = gathered.revenue_accounts >= k
    return NetworkMetrics(
        patterns_discovered=Metric(
            gathered.patterns.discovered, Unit.COUNT, gathered.patterns.discovered
        ),
        total_success_applications=Metric(
            totals.advised.successes if told else None, Unit.COUNT, totals.advised.trials
        ),
        revenue_generated_network=Metric(
            totals.advised_revenue if measured else None, Unit.CURRENCY, totals.advised_measured
        ),
        average_confidence_boost=Metric(
            totals.confidence_added / totals.enhanced if totals.enhanced >= ENOUGH else None,
            Unit.SHARE,
            totals.enhanced,
        ),
        time_to_insight=Metric(
            median(gathered.lags) if len(gathered.lags) >= ENOUGH else None,
            Unit.SECONDS,
            len(gathered.lags),
        ),
        cross_pollination_rate=_share(Arm(totals.enhanced, totals.from_elsewhere)),
        enhanced_rate=_share(Arm(totals.questions, totals.enhanced)),
    )


def _share(arm: Arm) -> Metric:
    if arm.trials < ENOUGH:
        return Metric(None, Unit.SHARE, arm.trials)
    return Metric(arm.rate, Unit.SHARE, arm.trials, arm.interval())


def _discovery_rate(gathered: Gathered, as_of: datetime, start: datetime) -> Metric:
    """Over the window, or over the network's age where that is shorter; a week at least."""
    discovered = gathered.patterns.discovered
    if gathered.since is None:
        return Metric(None, Unit.PER_WEEK, discovered)
    began = max(start, datetime.combine(gathered.since, time(), UTC))
    if as_of - began < WEEK:
        return Metric(None, Unit.PER_WEEK, discovered)
    return Metric(discovered / ((as_of - began) / WEEK), Unit.PER_WEEK, discovered)


def _cross_application_rate(gathered: Gathered) -> Metric:
    return _share(Arm(gathered.patterns.in_use, gathered.patterns.shared))


def _improvement(advised: Arm, held_out: Arm, gathered: Gathered, k: int) -> Metric:
    sample = advised.trials + held_out.trials
    if min(advised.trials, held_out.trials) < ENOUGH_TO_COMPARE or gathered.outcome_accounts < k:
        return Metric(None, Unit.SHARE, sample)
    uplift = Uplift(advised, held_out)
    return Metric(uplift.difference, Unit.SHARE, sample, uplift.interval())


def _time_to_first_insight(gathered: Gathered) -> Metric:
    """Of all who asked: those still without advice wait longer than any other."""
    waits = [_wait(newcomer.advised_after) for newcomer in gathered.newcomers]
    return Metric(_median(waits), Unit.SECONDS, len(waits))


def _pattern_accuracy(gathered: Gathered) -> Metric:
    judged = [prediction for prediction in gathered.predictions if prediction.judged]
    return _share(Arm(len(judged), sum(prediction.held for prediction in judged)))


def _revenue_per_pattern(gathered: Gathered, k: int) -> Metric:
    patterns = len(gathered.predictions)
    if gathered.revenue_accounts < k or not patterns:
        return Metric(None, Unit.CURRENCY, patterns)
    return Metric(gathered.totals.advised_revenue / patterns, Unit.CURRENCY, patterns)


def _value_acceleration(gathered: Gathered) -> Metric:
    """Median wait for the first success: accounts not met with advice, over those that were."""
    waits = {
        met: [
            _wait(newcomer.succeeded_after)
            for newcomer in gathered.newcomers
            if newcomer.met is met
        ]
        for met in (True, False)
    }
    met, unmet = _median(waits[True]), _median(waits[False])
    if met is None or unmet is None or not met:
        return Metric(None, Unit.RATIO, len(gathered.newcomers))
    return Metric(unmet / met, Unit.RATIO, len(gathered.newcomers))


def _wait(seconds: float | None) -> float:
    """Infinite for what has not happened."""
    return math.inf if seconds is None else max(seconds, 0.0)


def _median(waits: Sequence[float]) -> float | None:
    """None of too few, and when half of them still wait: then nobody knows it yet."""
    if len(waits) < ENOUGH_ACCOUNTS:
        return None
    middle = median(waits)
    return None if math.isinf(middle) else middle
