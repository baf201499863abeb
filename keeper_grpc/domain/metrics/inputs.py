"""The inputs of the metrics: sums, counts and lists over one window, gathered by storage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

from keeper_grpc.domain.advice.adoption import OwnReactions
from keeper_grpc.domain.metrics.experiment import OwnerOutcomes
from keeper_grpc.domain.metrics.uplift import Arm, Z

JUDGED = 20
"""Least outcomes of a pattern's advice for judging its prediction. With five, a predicted rate of 70% would be
judged right in 92% of cases although the true rate is 40%; with twenty, in 24%."""

NONE = Arm(0, 0)


class Deed(Enum):
    """What an account did within the window; the accounts behind a metric are those that did what it counts."""

    ACTIVE = "active"
    OBSERVED = "observed"
    ASKED = "asked"
    ENHANCED = "enhanced"
    ADVISED = "advised"
    REVENUE = "revenue"
    ADVISED_RETENTION = "advised_retention"
    HELD_OUT = "held_out"
    HELD_OUT_RETENTION = "held_out_retention"
    JOINED = "joined"
    REACTED = "reacted"


class Family(Enum):
    """Metrics that the same accounts are behind, so that a line of business shows all of them or none.

    Its value are the deeds that each need k owners.
    """

    ACTIVE = (Deed.ACTIVE,)
    OBSERVED = (Deed.OBSERVED,)
    ASKED = (Deed.ASKED,)
    ENHANCED = (Deed.ENHANCED,)
    ADVISED = (Deed.ADVISED,)
    REVENUE = (Deed.REVENUE,)
    COMPARED = (Deed.ADVISED, Deed.HELD_OUT)
    RETENTION = (Deed.ADVISED_RETENTION, Deed.HELD_OUT_RETENTION)
    JOINED = (Deed.JOINED,)
    REACTED = (Deed.REACTED,)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the window. Outcomes of advice are `advised`; `held_out` are those of the holdout.

    Questions that were held out are not among `questions`. Revenue is in the accounts' currencies. Of the whole
    network each sum is over the lines of business that count in its family: `answered` are the enhanced ones
    among `questions`, `compared` the outcomes of advice beside `held_out`. `exploration_loss` is the success that
    drawing advice was expected to cost over all enhanced questions (domain/advice/exploration.py).
    """

    observations: int = 0
    questions: int = 0
    answered: int = 0
    enhanced: int = 0
    from_elsewhere: int = 0
    confidence_added: float = 0.0
    exploration_loss: float = 0.0
    advised: Arm = NONE
    compared: Arm = NONE
    held_out: Arm = NONE
    advised_retention: Arm = NONE
    held_out_retention: Arm = NONE
    advised_measured: int = 0
    advised_revenue: float = 0.0


@dataclass(frozen=True, slots=True)
class PatternCounts:
    """Counts of patterns: discovered in the window; observed in it, and those of these that several accounts
    share; published now.
    """

    discovered: int = 0
    in_use: int = 0
    shared: int = 0
    published: int = 0


@dataclass(frozen=True, slots=True)
class Prediction:
    """The predicted and the actual outcomes of one pattern's advice.

    Sums over its `outcomes`: of the expected rate, of its binomial variance and of its standard deviation.
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

        Its variance is that of the outcomes plus that of the rate, which all outcomes of a pattern share;
        half a success corrects for continuity.
        """
        spread = math.sqrt(self.variance + self.deviation**2)
        return abs(self.successes - self.expected) <= Z * spread + 0.5


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An account that joined within the window and has asked.

    `met`: its first question was enhanced. The others are seconds since it joined, negative where it asked
    before it was registered, and None where it has not happened yet.
    """

    met: bool
    advised_after: float | None
    succeeded_after: float | None
    owner_key: str


@dataclass(frozen=True, slots=True)
class Day:
    """The counts of one day (UTC)."""

    day: date
    patterns_discovered: int = 0
    observations: int = 0
    questions: int = 0
    enhanced: int = 0
    advised: Arm = NONE
    held_out: Arm = NONE


@dataclass(frozen=True, slots=True)
class AccountCounts:
    """Counts of owners by what their accounts did within the window.

    In the order of the fields: were active; asked without being held out; got advice; observed something;
    reported an outcome of advice, its revenue, its retention; reported an outcome of the holdout, its
    retention.
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
    """All inputs of the metrics.

    `lags` are the seconds from a pattern's discovery to its first advice, where that is in the window.
    `predictions` belong to the patterns whose advice had an outcome in the window, and count all outcomes of their
    advice; `paid_patterns` is the number of these in the lines of business whose revenue is counted. `newcomers` are registered accounts. `since` is the first day with data.
    `categories` are those in which k owners or more were active. `experiment` has every outcome of the holdout
    experiment, whenever it was reported. `reactions` are what each owner did with the advice of the window.
    """

    totals: Totals = Totals()
    patterns: PatternCounts = PatternCounts()
    lags: Sequence[float] = ()
    predictions: Sequence[Prediction] = ()
    paid_patterns: int = 0
    newcomers: Sequence[Newcomer] = ()
    accounts: AccountCounts = AccountCounts()
    since: date | None = None
    days: Sequence[Day] = ()
    categories: Sequence[str] = ()
    experiment: Sequence[OwnerOutcomes] = ()
    reactions: Sequence[OwnReactions] = ()
