"""What outcomes add to the counts of their pattern: the same for one, for a group, and for the whole ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from keeper_grpc.domain.evidence.evidence import recency_weight
from keeper_grpc.domain.evidence.fading import FAST, SLOW
from keeper_grpc.domain.evidence.guardrails import HARM_HALF_LIFE, OwnHarms
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.observation import Disposition, Observation
from keeper_grpc.domain.patterns.situation import facets

_Key = TypeVar("_Key")

MOST_WORDINGS = 16
"""Distinct actions that are kept of one account in one pattern, its first: bounds what one can add."""


@dataclass(frozen=True, slots=True)
class Draw:
    """That chance chose the script of an advice: the inverse of how likely, and the success that was expected."""

    inverse: float
    expected: float


@dataclass(frozen=True, slots=True)
class Counted:
    """What is counted of one observation. The words of a report, which are the network's, are not `own_words`.

    One that is not `final` stands until a later report takes its place.
    """

    account_key: str
    conditions: dict[str, JsonValue]
    action: str
    script: str
    success: bool
    net_revenue: float | None
    costed: bool
    complained: bool | None
    unsubscribed: bool | None
    occurred_time: datetime
    own_words: bool
    final: bool = True
    draw: Draw | None = None

    @classmethod
    def of(cls, observation: Observation, draw: Draw | None = None) -> Counted:
        """Of one that is about to be written."""
        outcome, insight = observation.outcome, observation.insight
        return cls(
            account_key=observation.account_key,
            conditions=dict(insight.conditions),
            action=insight.action,
            script=insight.script,
            success=outcome.success,
            net_revenue=outcome.net_revenue,
            costed=outcome.cost is not None and outcome.net_revenue is not None,
            complained=outcome.complained,
            unsubscribed=outcome.unsubscribed,
            occurred_time=observation.occurred_time,
            own_words=observation.disposition is not Disposition.REPORTED,
            final=outcome.final,
            draw=draw,
        )


@dataclass(slots=True)
class ShareSums:
    """One account's share of something, as it is summed up.

    What is `recent` is weighed by its age (domain/evidence/evidence.py), `fast` and `slow` as fading
    (domain/evidence/fading.py) needs it; what was `drawn` by its inverse chance.
    """

    trials: int = 0
    successes: int = 0
    revenue_total: float = 0.0
    revenue_count: int = 0
    recent_trials: float = 0.0
    recent_successes: float = 0.0
    fast_trials: float = 0.0
    fast_successes: float = 0.0
    slow_trials: float = 0.0
    slow_successes: float = 0.0
    drawn_trials: int = 0
    drawn_weight: float = 0.0
    drawn_squares: float = 0.0
    drawn_excess: float = 0.0

    def plus(self, other: ShareSums) -> ShareSums:
        """Both together."""
        return ShareSums(
            *(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True))
        )


@dataclass(slots=True)
class PatternSums:
    """What observations add to one pattern; shares by account, by facet and account, by script and account."""

    observations: int = 0
    first: datetime | None = None
    last: datetime | None = None
    accounts: dict[str, ShareSums] = field(default_factory=lambda: defaultdict(ShareSums))
    facets: dict[tuple[str, str], ShareSums] = field(default_factory=lambda: defaultdict(ShareSums))
    scripts: dict[tuple[str, str], ShareSums] = field(
        default_factory=lambda: defaultdict(ShareSums)
    )
    harms: dict[str, OwnHarms] = field(default_factory=lambda: defaultdict(OwnHarms))
    wordings: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, one: Counted, half_life: timedelta, known: Collection[str] = ()) -> None:
        """Count one observation. `known` are the actions that are kept of its account already."""
        account, occurred, success = one.account_key, one.occurred_time, one.success
        self.span(occurred)
        own = self.accounts[account]
        shares = [own]
        shares += [self.facets[facet, account] for facet in facets(one.conditions)]
        if one.script:
            shares.append(script := self.scripts[one.script, account])
            if one.draw is not None:
                script.drawn_trials += 1
                script.drawn_weight += one.draw.inverse
                script.drawn_squares += one.draw.inverse**2
                script.drawn_excess += one.draw.inverse * (success - one.draw.expected)
        if one.own_words and one.action not in known:
            wordings = self.wordings[account]
            if len(known) + len(wordings) < MOST_WORDINGS:
                wordings[one.action] = None
        weight = recency_weight(occurred, half_life)
        for share in shares:
            share.trials += 1
            share.successes += success
            share.recent_trials += weight
            share.recent_successes += weight * success
        fast, slow = recency_weight(occurred, FAST), recency_weight(occurred, SLOW)
        own.fast_trials += fast
        own.fast_successes += fast * success
        own.slow_trials += slow
        own.slow_successes += slow * success
        if one.complained is not None or one.unsubscribed is not None or one.costed:
            self.harms[account] = self.harms[account].after(
                one.complained,
                one.unsubscribed,
                one.net_revenue if one.costed else None,
                recency_weight(occurred, HARM_HALF_LIFE),
            )
        if one.net_revenue is not None:
            own.revenue_total += one.net_revenue
            own.revenue_count += 1

    def join(self, other: PatternSums) -> None:
        """Count what was summed up before: of an account it comes before what is here, or is all."""
        self.observations += other.observations
        if other.first is not None and other.last is not None:
            self.first = min(self.first or other.first, other.first)
            self.last = max(self.last or other.last, other.last)
        _join(self.accounts, other.accounts)
        _join(self.facets, other.facets)
        _join(self.scripts, other.scripts)
        for account, harms in other.harms.items():
            self.harms[account] = self.harms[account].plus(harms)
        for account, actions in other.wordings.items():
            both = actions | self.wordings[account]
            self.wordings[account] = dict(list(both.items())[:MOST_WORDINGS])

    def span(self, occurred: datetime) -> None:
        """Widen the span in which the pattern was observed, by one observation, whoever it counts for."""
        self.observations += 1
        self.first = min(self.first or occurred, occurred)
        self.last = max(self.last or occurred, occurred)


def _join(mine: dict[_Key, ShareSums], its: Mapping[_Key, ShareSums]) -> None:
    for key, share in its.items():
        mine[key] = mine[key].plus(share)
