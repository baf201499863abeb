"""Sums of a report's days: over chosen dates, and for the steps of a chart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import NetworkDay
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetNetworkMetricsResponse

_COUNTED = (
    "patterns_discovered",
    "question_count",
    "enhanced_count",
    "advised_count",
    "advised_success_count",
    "held_out_count",
    "held_out_success_count",
)

MOST_DAYS = 366
"""Days that a report has one by one, the newest on which something happened."""

ENOUGH = 5
"""Fewest outcomes or questions for which a step shows a rate: with fewer, one moves it by 20 points."""


@dataclass(slots=True)
class Bucket:
    """Consecutive days from `start`, and their sums."""

    start: date
    days: int
    patterns_discovered: int = 0
    question_count: int = 0
    enhanced_count: int = 0
    advised_count: int = 0
    advised_success_count: int = 0
    held_out_count: int = 0
    held_out_success_count: int = 0

    @property
    def counts(self) -> Mapping[str, int]:
        """The sums, by the names that days have."""
        return {name: getattr(self, name) for name in _COUNTED}

    @property
    def label(self) -> str:
        """The days, in words."""
        if self.days == 1:
            return f"{self.start:%d %b}"
        return f"{self.start:%d %b} \N{EN DASH} {self.start + timedelta(days=self.days - 1):%d %b}"

    @property
    def advised_rate(self) -> float | None:
        """The success rate of advice; None for too few outcomes."""
        return _rate(self.advised_success_count, self.advised_count)

    @property
    def enhanced_rate(self) -> float | None:
        """The share of questions that were enhanced; None for too few questions."""
        return _rate(self.enhanced_count, self.question_count)

    @property
    def held_out_rate(self) -> float | None:
        """The success rate of the holdout; None for too few outcomes."""
        return _rate(self.held_out_success_count, self.held_out_count)


def covered(report: GetNetworkMetricsResponse, first: date) -> bool:
    """Whether a report that begins there has all of its days one by one, and not the newest alone."""
    days = report.days
    return len(days) < MOST_DAYS or days[0].start_time.ToDatetime().date() <= first


def _rate(successes: int, trials: int) -> float | None:
    return successes / trials if trials >= ENOUGH else None


def buckets(days: Iterable[NetworkDay], first: date, last: date, size: int) -> Sequence[Bucket]:
    """Steps of `size` days up to `last`, with empty ones where nothing happened.

    Steps are counted back from `last`, so only the first may be shorter, limited by `first`.
    """
    made: list[Bucket] = []
    end = last
    while end >= first:
        start = max(first, end - timedelta(days=size - 1))
        made.append(Bucket(start, (end - start).days + 1))
        end = start - timedelta(days=1)
    made.reverse()
    for day in days:
        date_of_day = day.start_time.ToDatetime().date()
        if not first <= date_of_day <= last:
            continue
        bucket = made[-1 - (last - date_of_day).days // size]
        for name in _COUNTED:
            setattr(bucket, name, getattr(bucket, name) + getattr(day, name))
    return made
