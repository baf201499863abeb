"""What many outcomes say about how well something works.

`success_rate` is the plain quotient that people expect. Decisions use `lower_bound`, the 5% quantile
of the Beta posterior: little evidence pulls it down, so that 3 of 3 (0.57) does not beat 190 of 200
(0.92). The prior is Jeffreys' Beta(1/2, 1/2), which claims nothing; a catalog pattern brings its own
(Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from scipy.special import betaincinv

LOWER_QUANTILE = 0.05
"""Lower end of a 90% credible interval: wrong one time in twenty on the side that would hurt."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed before any outcome, in pseudo-successes and pseudo-failures."""

    successes: float = 0.5
    failures: float = 0.5


class Share(NamedTuple):
    """One account's trials and successes among others'."""

    trials: int
    successes: int


@dataclass(frozen=True, slots=True)
class Shares:
    """What each account contributed: one entry an account in each column, in the same order.

    Columns, because sums over columns are what evidence consists of. Scripts have the first two only.
    `recent_trials` and `recent_successes` are sums of `recency_weight`.
    """

    trials: Sequence[int] = ()
    successes: Sequence[int] = ()
    revenue_totals: Sequence[float] = ()
    revenue_counts: Sequence[int] = ()
    recent_trials: Sequence[float] = ()
    recent_successes: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Outcomes of one pattern or one script, counted.

    `accounts` distinct accounts made the `trials`, and the busiest of them made
    `largest_account_trials`. `revenue_total` sums the `revenue_count` outcomes that measured it, of
    `revenue_accounts` accounts, the busiest of which has `largest_revenue_count`.
    `recent_trials` and `recent_successes` weigh each outcome by its age, 1 for a new one and half for
    each half-life; None weighs all alike. `shares` are the accounts' shares, by which an account's
    weight is capped: all of them, or the k busiest.
    """

    trials: int = 0
    successes: int = 0
    accounts: int = 0
    largest_account_trials: int = 0
    revenue_total: float = 0.0
    revenue_count: int = 0
    revenue_accounts: int = 0
    largest_revenue_count: int = 0
    recent_trials: float | None = None
    recent_successes: float | None = None
    shares: tuple[Share, ...] = ()

    @classmethod
    def of(cls, shares: Shares, now_weight: float | None = None) -> Evidence:
        """The evidence that these accounts' shares add up to.

        `now_weight` is the recency weight of an outcome that occurs now; None weighs all alike.
        """
        return cls(
            trials=sum(shares.trials),
            successes=sum(shares.successes),
            accounts=len(shares.trials),
            largest_account_trials=max(shares.trials, default=0),
            # Exact sums, which do not depend on the order in which the accounts were read.
            revenue_total=math.fsum(shares.revenue_totals),
            revenue_count=sum(shares.revenue_counts),
            revenue_accounts=sum(count > 0 for count in shares.revenue_counts),
            largest_revenue_count=max(shares.revenue_counts, default=0),
            recent_trials=now_weight and math.fsum(shares.recent_trials) / now_weight,
            recent_successes=now_weight and math.fsum(shares.recent_successes) / now_weight,
            shares=tuple(map(Share, shares.trials, shares.successes)),
        )

    @property
    def success_rate(self) -> float:
        """Successes / trials; 0 without trials."""
        return self.successes / self.trials if self.trials else 0.0

    def weighted(self, k: int) -> tuple[float, float]:
        """Trials and successes as decisions weigh them: recent ones more, no account too much.

        An account's weight is capped at 1/k of all: an account that reports a hundred times as much
        as the others is one opinion, not a hundred. Its rate stays what it is.
        """
        trials, successes = float(self.trials), float(self.successes)
        busiest = sorted(self.shares, reverse=True)[:k]
        excess = _excess([share.trials for share in busiest], trials, k)
        for share, over in zip(busiest, excess, strict=True):
            trials -= over
            successes -= over * share.successes / share.trials
        if self.recent_trials is None or self.recent_successes is None or not self.trials:
            return trials, max(successes, 0.0)
        trials *= self.recent_trials / self.trials
        if self.successes:
            successes *= self.recent_successes / self.successes
        return trials, min(max(successes, 0.0), trials)

    def lower_bound(self, prior: Prior | None = None) -> float:
        """The success rate that is exceeded with 95% probability; in [0, success_rate].

        The posterior of few trials can lie above the plain rate (0 of 3 has a positive quantile);
        a bound above what was seen would be absurd to read, so the rate caps it.
        """
        if not self.trials:
            return 0.0
        prior = prior or Prior()
        quantile = betaincinv(
            prior.successes + self.successes,
            prior.failures + self.trials - self.successes,
            LOWER_QUANTILE,
        )
        return min(float(quantile), self.success_rate)


def boost(confidence: float, success_rate: float) -> float:
    """The confidence of an enhanced insight: `confidence * (1 + success_rate * 0.3)`, below 1.

    The formula is the source design's. The cap keeps a confidence a probability that can still be
    wrong; a caller's confidence above the cap is left as it is.
    """
    return max(confidence, min(confidence * (1 + success_rate * BOOST), CONFIDENCE_CAP))


BOOST = 0.3
CONFIDENCE_CAP = 0.99

RECENCY_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
"""Where recency weights are 1. Any day does; one in the recent past keeps them near 1."""


def recency_weight(occurred: datetime, half_life: timedelta) -> float:
    """The weight under which an outcome is stored: doubles with each half-life after the epoch.

    Sums of these weights need no upkeep: divided by the weight of today they are what they would be
    if every outcome had been weighed by its age today. Bounded to 300 doublings either way, which a
    double holds.
    """
    doublings = (occurred - RECENCY_EPOCH) / half_life
    return float(2.0 ** min(max(doublings, -300.0), 300.0))


def _excess(busiest: list[int], total: float, k: int) -> list[float]:
    """What each of the busiest accounts has beyond 1/k of what remains when all are capped.

    `busiest` is in descending order. The cap solves c = (rest + capped * c) / k, where the accounts over c are capped; it exists when
    fewer than k are, which is always so with at least k accounts.
    """
    for capped in range(min(len(busiest), k - 1) + 1):
        rest = total - sum(busiest[:capped])
        cap = rest / (k - capped)
        if capped == len(busiest) or busiest[capped] <= cap:
            return [max(trials - cap, 0.0) for trials in busiest]
    return [0.0] * len(busiest)
