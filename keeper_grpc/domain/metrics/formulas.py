"""The formulas, thresholds and targets of the network's metrics and KPIs.

Storage gathers their inputs (domain/metrics/inputs.py). docs/metrics.md states each formula and the source of
its numbers. A metric with too few data is None, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import Enum
from statistics import median

from keeper_grpc.domain.advice.adoption import Adoption, adoption
from keeper_grpc.domain.evidence.evidence import two_digits
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.metrics.experiment import Experiment, OwnerOutcomes, experiment
from keeper_grpc.domain.metrics.inputs import NONE, Day, Gathered, Newcomer
from keeper_grpc.domain.metrics.uplift import Arm, Uplift

ENOUGH = 10
"""Least sample of a share or a mean: below ten, one case more moves a share by ten points."""

ENOUGH_TO_COMPARE = 20
"""Least outcomes in each arm of a comparison: Newcombe's interval is then narrower than 60 points."""

ENOUGH_ACCOUNTS = 5
"""Least accounts behind a median of accounts (or k if greater): with fewer, it jumps with each account."""

WEEK = timedelta(days=7)


class Unit(Enum):
    """The unit of a number. SHARE is also that of a difference of shares."""

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
"""The network's targets (docs/metrics.md). Improvements are read as points, the harder reading."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number with its sample size; `value` is None when the sample is too small.

    `interval` is the 95% interval of a value that is an estimate.
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
        """The target: an upper limit for a time, a lower limit otherwise."""
        return TARGETS[self.name]

    @property
    def status(self) -> Status:
        """Whether the target is met."""
        value = self.metric.value
        if value is None:
            return Status.NOT_ENOUGH_DATA
        met = value <= self.target if self.metric.unit is Unit.SECONDS else value >= self.target
        return Status.MET if met else Status.MISSED


@dataclass(frozen=True, slots=True)
class NetworkMetrics:
    """The six metrics of the source design, the share of questions that were enhanced, and what exploring costs."""

    patterns_discovered: Metric
    total_success_applications: Metric
    revenue_generated_network: Metric
    average_confidence_boost: Metric
    time_to_insight: Metric
    cross_pollination_rate: Metric
    enhanced_rate: Metric
    exploration_loss: Metric


@dataclass(frozen=True, slots=True)
class MetricsReport:
    """The metrics and KPIs of one window. A withheld report has only its times and the categories that have
    reports.
    """

    as_of: datetime
    window_start: datetime
    metrics: NetworkMetrics | None
    kpis: Sequence[Kpi] = ()
    days: Sequence[Day] = ()
    published_patterns: int = 0
    categories: Sequence[str] = ()
    uplift: Experiment | None = None
    adoption: Adoption | None = None


def window_start(as_of: datetime, window: timedelta) -> datetime:
    """The midnight (UTC) that begins the day on which the window began."""
    return datetime.combine((as_of - window).astimezone(UTC).date(), time(), UTC)


def report(gathered: Gathered, k: int, as_of: datetime, start: datetime) -> MetricsReport:
    """Metrics and KPIs; withheld when fewer than k owners were active in the window.

    Each metric needs k owners whose accounts did what it counts: asked, were advised, observed, or reported
    outcomes, revenue or retention.
    """
    totals, accounts = gathered.totals, gathered.accounts
    if accounts.active < k:
        return MetricsReport(as_of, start, None, categories=gathered.categories)
    asked, observed = accounts.asked >= k, accounts.observed >= k
    advised = accounts.advised >= k
    compared = min(accounts.advised, accounts.held_out) >= k
    uplift = _uplift(gathered.experiment, k)
    design_effect = uplift.comparison.design_effect if uplift else 1.0
    retention = min(accounts.advised_retention, accounts.held_out_retention)
    measured = {
        KpiName.DISCOVERY_RATE: _of(accounts.observed, k, _discovery_rate(gathered, as_of, start)),
        KpiName.CROSS_APPLICATION_RATE: _of(
            accounts.observed, k, _cross_application_rate(gathered)
        ),
        KpiName.SUCCESS_RATE_IMPROVEMENT: _of(
            min(accounts.advised, accounts.held_out),
            k,
            _improvement(totals.compared, totals.held_out, design_effect),
        ),
        KpiName.TIME_TO_FIRST_INSIGHT: _of(
            _owners(gathered.newcomers), k, _time_to_first_insight(gathered, k)
        ),
        KpiName.PATTERN_ACCURACY: _of(accounts.advised, k, _pattern_accuracy(gathered)),
        KpiName.REVENUE_PER_PATTERN: _of(accounts.revenue, k, _revenue_per_pattern(gathered)),
        KpiName.RETENTION_IMPROVEMENT: _of(
            retention,
            k,
            _improvement(totals.advised_retention, totals.held_out_retention, design_effect),
        ),
        KpiName.VALUE_ACCELERATION: _of(
            _owners(gathered.newcomers), k, _value_acceleration(gathered, k)
        ),
    }
    return MetricsReport(
        as_of,
        start,
        _metrics(gathered, k),
        [Kpi(name, metric) for name, metric in measured.items()],
        [
            replace(
                day,
                patterns_discovered=day.patterns_discovered if observed else 0,
                observations=day.observations if observed else 0,
                questions=day.questions if asked else 0,
                enhanced=day.enhanced if asked else 0,
                advised=day.advised if advised else NONE,
                held_out=day.held_out if compared else NONE,
            )
            for day in gathered.days
        ],
        gathered.patterns.published,
        gathered.categories,
        uplift,
        adoption(gathered.reactions, PublicationRule(k)),
    )


def _uplift(outcomes: Sequence[OwnerOutcomes], k: int) -> Experiment | None:
    """The experiment of k owners or more in each arm; None where there are fewer.

    As treated it is of categories in which k owners followed advice as well, and k, or none, did not always.
    """
    counted = _of_categories(outcomes, k, _compared)
    if not counted:
        return None
    treated = experiment(_of_categories(outcomes, k, _treated))
    return replace(experiment(counted), followed=treated.followed, as_treated=treated.as_treated)


def _of_categories(
    outcomes: Sequence[OwnerOutcomes],
    k: int,
    enough: Callable[[Sequence[OwnerOutcomes], int], bool],
) -> Sequence[OwnerOutcomes]:
    """The outcomes of the categories with enough owners; none where all together are too few.

    A category with fewer is left out of the whole, unless those left out are k owners in each arm together: the whole
    less the others would otherwise be what fewer did.
    """
    categories = sorted({each.business_category for each in outcomes})
    shown = {
        category
        for category in categories
        if enough([each for each in outcomes if each.business_category == category], k)
    }
    rest = [each for each in outcomes if each.business_category not in shown]
    counted = (
        outcomes
        if enough(rest, k)
        else [each for each in outcomes if each.business_category in shown]
    )
    return counted if enough(counted, k) else []


def _compared(outcomes: Sequence[OwnerOutcomes], k: int) -> bool:
    """Whether k owners are in each arm."""
    advised = {each.owner_key for each in outcomes if each.advised.trials}
    held_out = {each.owner_key for each in outcomes if each.held_out.trials}
    return min(len(advised), len(held_out)) >= k


def _treated(outcomes: Sequence[OwnerOutcomes], k: int) -> bool:
    """Whether k owners are in each arm and followed advice, and k or none did not follow some."""
    followed = {each.owner_key for each in outcomes if each.followed.trials}
    otherwise = {each.owner_key for each in outcomes if each.advised.trials > each.followed.trials}
    return _compared(outcomes, k) and len(followed) >= k and (not otherwise or len(otherwise) >= k)


def _metrics(gathered: Gathered, k: int) -> NetworkMetrics:
    totals, accounts, lags = gathered.totals, gathered.accounts, gathered.lags
    discovered = gathered.patterns.discovered
    known = totals.enhanced >= ENOUGH
    boost = totals.confidence_added / totals.enhanced if known else None
    loss = totals.exploration_loss / totals.enhanced if known else None
    return NetworkMetrics(
        patterns_discovered=_of(accounts.observed, k, Metric(discovered, Unit.COUNT, discovered)),
        total_success_applications=_of(
            accounts.advised,
            k,
            Metric(totals.advised.successes, Unit.COUNT, totals.advised.trials),
        ),
        revenue_generated_network=_of(
            accounts.revenue,
            k,
            Metric(totals.advised_revenue, Unit.CURRENCY, totals.advised_measured),
        ),
        average_confidence_boost=_of(
            accounts.enhanced, k, Metric(boost, Unit.SHARE, totals.enhanced)
        ),
        time_to_insight=_of(
            accounts.enhanced,
            k,
            Metric(
                two_digits(median(lags)) if len(lags) >= ENOUGH else None, Unit.SECONDS, len(lags)
            ),
        ),
        cross_pollination_rate=_of(
            accounts.enhanced, k, _share(Arm(totals.enhanced, totals.from_elsewhere))
        ),
        enhanced_rate=_of(accounts.asked, k, _share(Arm(totals.questions, totals.answered))),
        exploration_loss=_of(accounts.enhanced, k, Metric(loss, Unit.SHARE, totals.enhanced)),
    )


def _of(accounts: int, k: int, metric: Metric) -> Metric:
    """The metric, or an empty one when fewer than k accounts are behind it: the sample size would leak too."""
    return metric if accounts >= k else Metric(None, metric.unit, 0)


def _share(arm: Arm) -> Metric:
    if arm.trials < ENOUGH:
        return Metric(None, Unit.SHARE, arm.trials)
    return Metric(arm.rate, Unit.SHARE, arm.trials, arm.interval())


def _discovery_rate(gathered: Gathered, as_of: datetime, start: datetime) -> Metric:
    """Per week of the window, or of the network's age where that is shorter; None below a week.

    Counted in whole days with today: a rate that falls every second would be a change without news, and a
    denominator without today would overstate the patterns of today.
    """
    discovered = gathered.patterns.discovered
    if gathered.since is None:
        return Metric(None, Unit.PER_WEEK, discovered)
    before_today = as_of.date() - max(start.date(), gathered.since)
    if before_today < WEEK:
        return Metric(None, Unit.PER_WEEK, discovered)
    weeks = (before_today + timedelta(days=1)) / WEEK
    return Metric(discovered / weeks, Unit.PER_WEEK, discovered)


def _cross_application_rate(gathered: Gathered) -> Metric:
    return _share(Arm(gathered.patterns.in_use, gathered.patterns.shared))


def _improvement(advised: Arm, held_out: Arm, design_effect: float) -> Metric:
    sample = advised.trials + held_out.trials
    if min(advised.trials, held_out.trials) < ENOUGH_TO_COMPARE:
        return Metric(None, Unit.SHARE, sample)
    uplift = Uplift(advised, held_out)
    return Metric(uplift.difference, Unit.SHARE, sample, uplift.interval(design_effect))


def _time_to_first_insight(gathered: Gathered, k: int) -> Metric:
    """The median over all newcomers that asked; one without advice so far counts as the longest wait."""
    newcomers = gathered.newcomers
    waits = [newcomer.advised_after for newcomer in newcomers]
    wait = _median(newcomers, waits, k)
    return Metric(None if wait is None else two_digits(wait), Unit.SECONDS, len(waits))


def _pattern_accuracy(gathered: Gathered) -> Metric:
    judged = [prediction for prediction in gathered.predictions if prediction.judged]
    return _share(Arm(len(judged), sum(prediction.held for prediction in judged)))


def _revenue_per_pattern(gathered: Gathered) -> Metric:
    patterns = gathered.paid_patterns
    mean = two_digits(gathered.totals.advised_revenue / patterns) if patterns else None
    return Metric(mean, Unit.CURRENCY, patterns)


def _value_acceleration(gathered: Gathered, k: int) -> Metric:
    """The median wait for the first success without advice at the first question, over that with it."""
    met, unmet = (
        _median(group, [newcomer.succeeded_after for newcomer in group], k)
        for group in (
            [newcomer for newcomer in gathered.newcomers if newcomer.met is met]
            for met in (True, False)
        )
    )
    if met is None or unmet is None or not met:
        return Metric(None, Unit.RATIO, len(gathered.newcomers))
    return Metric(two_digits(unmet / met), Unit.RATIO, len(gathered.newcomers))


def _wait(seconds: float | None) -> float:
    """The wait in seconds; infinite for what has not happened yet."""
    return math.inf if seconds is None else max(seconds, 0.0)


def _owners(newcomers: Sequence[Newcomer]) -> int:
    return len({newcomer.owner_key for newcomer in newcomers})


def _median(newcomers: Sequence[Newcomer], waits: Sequence[float | None], k: int) -> float | None:
    """The median; None for too few accounts or owners, and when half of them still wait."""
    if len(newcomers) < ENOUGH_ACCOUNTS or _owners(newcomers) < k:
        return None
    middle = median(_wait(wait) for wait in waits)
    return None if math.isinf(middle) else middle
