"""What metrics are computed from: sums, counts and lists over one window, as storage gathers them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from keeper_grpc.domain.metrics.uplift import Arm, Z

JUDGED = 20
"""Least outcomes of a pattern's advice from which its prediction is judged: five of a rate of 70% would
be judged right 92 times in a hundred when it is truly 40%, twenty 24 times."""

NONE = Arm(0, 0)


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
    owner_key: str


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
class AccountCounts:
    """How many owners of accounts did what within the window.

    Were active; asked and were not held out; were given advice; observed something; reported an outcome
    of advice, its revenue, its retention; reported an outcome of the holdout, its retention.
    """

    active: int = 0
    asked: int = 0
    enhanced: int = 0
    observed: int = 0
    advised: int = 0
    revenue: int = 0
    advised_retention: int = 0
    held_out: int = 0
    held_out_retention: int = 0


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that metrics are computed from.

    `lags` are the seconds from a pattern's discovery to its first advice, of those that first gave
    advice in the window. `predictions` and `revenues` are of the patterns whose advice came to an
    outcome in it, over all that their advice ever came to. `newcomers` are registered accounts.
    `since` is the first day of all. `categories` are those in which k owners or more were active.
    """

    totals: Totals = Totals()
    patterns: PatternCounts = PatternCounts()
    lags: Sequence[float] = ()
    predictions: Sequence[Prediction] = ()
    revenues: Sequence[float] = ()
    newcomers: Sequence[Newcomer] = ()
    accounts: AccountCounts = AccountCounts()
    since: date | None = None
    days: Sequence[Day] = ()
    categories: Sequence[str] = ()
