"""How a pattern fared over time, in periods long enough that none tells of too few accounts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from keeper_grpc.domain.evidence.evidence import Evidence
from keeper_grpc.domain.evidence.publication import PublicationRule

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class WeekShare:
    """One account's observations of a pattern in one week, which begins on a Monday (UTC)."""

    week: datetime
    account_key: str
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
    """Weeks joined until each period may be published; the periods add up to all shares.

    What is left over at the end belongs to the last period: told apart, or left out, the difference to
    the pattern's evidence would be of too few accounts. Empty where all together are too few.
    """
    found: list[Period] = []
    weeks: dict[datetime, list[WeekShare]] = {}
    for share in shares:
        weeks.setdefault(share.week, []).append(share)
    pending: list[WeekShare] = []
    for week in sorted(weeks):
        pending += weeks[week]
        if not rule.withheld(_evidence(pending)):
            found.append(_period(pending))
            pending = []
    if pending and found:
        last, rest = found[-1], _period(pending)
        found[-1] = replace(
            last,
            end=rest.end,
            trials=last.trials + rest.trials,
            successes=last.successes + rest.successes,
        )
    return found


def _evidence(shares: Sequence[WeekShare]) -> Evidence:
    accounts: dict[str, int] = {}
    for share in shares:
        accounts[share.account_key] = accounts.get(share.account_key, 0) + share.trials
    return Evidence(
        trials=sum(accounts.values()),
        accounts=len(accounts),
        largest_account_trials=max(accounts.values(), default=0),
    )


def _period(shares: Sequence[WeekShare]) -> Period:
    return Period(
        start=min(share.week for share in shares),
        end=max(share.week for share in shares) + WEEK,
        trials=sum(share.trials for share in shares),
        successes=sum(share.successes for share in shares),
    )
