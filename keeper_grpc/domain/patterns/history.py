"""How a pattern fared over time, in periods long enough that none tells of too few accounts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from keeper_grpc.domain.evidence.evidence import Evidence, Share, weigh
from keeper_grpc.domain.evidence.publication import PublicationRule

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class WeekShare:
    """One owner's observations of a pattern in one week, which begins on a Monday (UTC)."""

    week: datetime
    owner_key: str
    trials: int
    successes: int


@dataclass(frozen=True, slots=True)
class Period:
    """Some weeks, from `start` to before `end`."""

    start: datetime
    end: datetime
    trials: int
    successes: int


def periods(shares: Iterable[WeekShare], rule: PublicationRule) -> Sequence[Period]:
    """Weeks joined until each period may be published; every week is in one of them.

    What is left over at the end belongs to the last period: told apart, or left out, the difference to
    the pattern's evidence would be of too few accounts. Empty where all together are too few. Each
    period is weighed by itself, as the whole is, so the periods need not add up to the whole.
    """
    found: list[list[WeekShare]] = []
    weeks: dict[datetime, list[WeekShare]] = {}
    for share in shares:
        weeks.setdefault(share.week, []).append(share)
    pending: list[WeekShare] = []
    for week in sorted(weeks):
        pending += weeks[week]
        if not rule.withheld(_evidence(pending, rule)):
            found.append(pending)
            pending = []
    if pending and found:
        found[-1] += pending
    return [_period(part, rule) for part in found]


def _evidence(shares: Sequence[WeekShare], rule: PublicationRule) -> Evidence:
    owners: dict[str, tuple[int, int]] = {}
    for share in shares:
        trials, successes = owners.get(share.owner_key, (0, 0))
        owners[share.owner_key] = (trials + share.trials, successes + share.successes)
    return weigh((Share(*counted) for counted in owners.values()), rule.k)


def _period(shares: Sequence[WeekShare], rule: PublicationRule) -> Period:
    evidence = _evidence(shares, rule)
    return Period(
        start=min(share.week for share in shares),
        end=max(share.week for share in shares) + WEEK,
        trials=evidence.trials,
        successes=evidence.successes,
    )
