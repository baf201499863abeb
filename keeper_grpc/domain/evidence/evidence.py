"""What many outcomes say about how well something works, and how much of it one owner may be.

Evidence is weighed before anything is judged or shown, so that both are of the same numbers. A thousand
captures of one account are one opinion (`heaviest`): an owner weighs at most a k-th of the whole, as much
as k owners have made, and as much as the median owner, or `ALWAYS` trials if that is more. The weights are
summed, the trials rounded down and the successes to the nearest whole number; rate, bound and counts are
then of these whole numbers.

`success_rate` is the plain quotient that people expect. Decisions use `lower_bound`: little evidence
pulls it down, so that 3 of 3 does not beat 190 of 200. It is a low quantile of the Beta posterior
(Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.4) under a cautious prior that is learned from the
other patterns of its type (domain/evidence/priors.py), and no more than the outcomes alone bear.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from math import floor, fsum, inf
from statistics import median
from typing import NamedTuple, TypeAlias

from scipy.special import betaincinv

LOWER_QUANTILE = 0.02
"""Of the posterior under the most cautious prior. 0.05 would do if the world were a Beta distribution: where
most patterns fail and a few work, up to 10% of those shown would be missed (docs/evidence.md)."""

UPPER_QUANTILE = 0.95
"""Of what may be as good as something: more are not hoped for."""

EXACT_QUANTILE = 0.05
"""Of what the outcomes alone bear, whatever the world is like."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed before any outcome, in pseudo-successes and pseudo-failures.

    Without knowledge of the world every rate is as likely as any other.
    """

    successes: float = 1.0
    failures: float = 1.0

    @property
    def mean(self) -> float:
        """The rate that is expected without any outcome."""
        return self.successes / (self.successes + self.failures)

    @property
    def low(self) -> float:
        """The rate that is exceeded almost surely, if this is believed."""
        return float(betaincinv(self.successes, self.failures, LOWER_QUANTILE))

    @property
    def high(self) -> float:
        """The success rate that is not exceeded with 95% certainty."""
        return float(betaincinv(self.successes, self.failures, UPPER_QUANTILE))

    def after(self, trials: float, successes: float) -> Prior:
        """What is believed after these outcomes."""
        return Prior(self.successes + successes, self.failures + trials - successes)


UNIFORM = Prior()
"""Nothing is believed: every rate is as likely as any other."""

CAUTIOUS = Prior(2.8, 13.2)
"""The most cautious prior while no other pattern of the type has outcomes: as if 3 of 16 had worked. What
domain/evidence/priors.py finds without any."""


def lower_bound(trials: float, successes: float, cautious: Prior = CAUTIOUS) -> float:
    """The success rate that is exceeded with 95% certainty; in [0, successes / trials].

    The lower of two. What the outcomes alone bear (Clopper and Pearson, 1934) is exceeded by no rate more than
    once in twenty, in any world. But what is shown is chosen for its successes, and these are partly luck: so
    it is never more than what the outcomes say under the most cautious prior that other patterns leave open.
    """
    if successes <= 0:
        return 0.0
    exact = float(betaincinv(successes, trials - successes + 1, EXACT_QUANTILE))
    return min(exact, cautious.after(trials, successes).low)


class Share(NamedTuple):
    """One owner's outcomes of something. A tuple, because a question that nobody has asked makes hundreds.

    `recent_trials` and `recent_successes` weigh each outcome by its age, 1 for a new one and half for
    each half-life; None weighs all alike. `revenue_total` sums the `revenue_count` outcomes that
    measured it.
    """

    trials: int
    successes: int
    recent_trials: float | None = None
    recent_successes: float | None = None
    revenue_total: float = 0.0
    revenue_count: int = 0

    @property
    def recent(self) -> tuple[float, float]:
        """Trials and successes by age; successes are within the trials, however sums were rounded."""
        if self.recent_trials is None or self.recent_successes is None:
            return float(self.trials), float(self.successes)
        trials, successes = self.recent_trials, self.recent_successes
        # Rather than min and max, whose calls are a tenth of what an owner's view of a pattern costs.
        if not 0.0 <= successes <= trials:
            trials = max(trials, 0.0)
            successes = min(max(successes, 0.0), trials)
        return trials, successes

    def without(self, part: Share) -> Share:
        """What is left when a part of it is left out, whose outcomes are weighed by age as the whole's are."""
        if not part.trials:
            return Share(*self[:4])
        trials = max(self.trials - part.trials, 0)
        successes = min(max(self.successes - part.successes, 0), trials)
        if self.recent_trials is None or self.recent_successes is None:
            return Share(trials, successes)
        whole, gone = self.recent, part.recent
        # Nothing is left of nothing, however the sums were rounded.
        recent = max(whole[0] - gone[0], 0.0) if trials else 0.0
        return Share(trials, successes, recent, min(max(whole[1] - gone[1], 0.0), recent))


Shares: TypeAlias = Mapping[str, Share]
"""Outcomes of something, by the key of the owner whose they are."""

NO_SHARE = Share(0, 0)


def leave_out(shares: Shares, part: Shares) -> Shares:
    """The outcomes that are not of the part, which is a part of them."""
    return {owner: share.without(part.get(owner, NO_SHARE)) for owner, share in shares.items()}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Outcomes of one pattern or one script, weighed and counted; `weigh` makes it of owners' shares.

    `accounts` distinct owners stand behind the `trials`. `recent_trials` and `recent_successes` weigh
    outcomes by their age as well; None weighs all alike. `typical_revenue` is the median of the rounded means
    of the `revenue_accounts` owners that measured it; None where there is none.
    """

    trials: int = 0
    successes: int = 0
    accounts: int = 0
    recent_trials: float | None = None
    recent_successes: float | None = None
    typical_revenue: float | None = None
    revenue_accounts: int = 0

    @property
    def success_rate(self) -> float:
        """Successes / trials; 0 without trials."""
        return self.successes / self.trials if self.trials else 0.0

    @property
    def recent(self) -> tuple[float, float]:
        """Trials and successes as expectations weigh them: recent ones more."""
        if self.recent_trials is None or self.recent_successes is None:
            return float(self.trials), float(self.successes)
        return self.recent_trials, self.recent_successes

    def lower_bound(self, cautious: Prior = CAUTIOUS) -> float:
        """The success rate that is exceeded with 95% certainty."""
        return lower_bound(self.trials, self.successes, cautious)

    def recent_lower_bound(self, cautious: Prior = CAUTIOUS) -> float:
        """The same of the outcomes as their ages weigh them."""
        return lower_bound(*self.recent, cautious)


NO_EVIDENCE = Evidence()


ALWAYS = 5
"""Trials of an owner that the median does not cut. Otherwise newcomers with a trial each would cut those
who have been there for long to one trial each, and a pattern would seem less sure the more owners use it.
"""


def weigh(shares: Iterable[Share], k: int, most: float = inf) -> Evidence:
    """Count the owners' outcomes so that none weighs too much; see the module.

    An owner whose weight is cut keeps its rate. `most` is what an owner may weigh in the whole that these
    outcomes are a part of. With fewer than k owners, which are never shown, each weighs at most an equal
    part.
    """
    held = [share for share in shares if share.trials > 0]
    if not held:
        return NO_EVIDENCE
    weights = cut_weights([share.trials for share in held], k, most)
    weight = fsum(weights)
    good = fsum(
        own * share.successes / share.trials for own, share in zip(weights, held, strict=True)
    )
    trials = int(weight + _ROUNDING)
    recent_trials, recent_successes = _recent(held, weights, k)
    # Each before the median: an owner that others stand around would otherwise be read to the cent by moving them.
    measured = [two_digits(s.revenue_total / s.revenue_count) for s in held if s.revenue_count > 0]
    return Evidence(
        trials=trials,
        successes=int(trials * good / weight + 0.5 + _ROUNDING),
        accounts=len(held),
        recent_trials=recent_trials,
        recent_successes=recent_successes,
        typical_revenue=median(measured) if measured else None,
        revenue_accounts=len(measured),
    )


def two_digits(amount: float) -> float:
    """The amount in two significant digits."""
    return float(f"{amount:.1e}")


def cut_weights(trials: Sequence[float], k: int, most: float = inf) -> list[float]:
    """What each owner of so many trials, more than none, weighs: no more than `most` and `heaviest`."""
    limit = min(heaviest(trials, k), most)
    return [min(float(own), limit) for own in trials]


def heaviest(trials: Sequence[float], k: int) -> float:
    """The most that one of these owners may weigh; 0 where there are none.

    A k-th of all bounds what one owner does to anything. The k-th largest bounds what k - 1 owners do
    together, however much they report: they weigh what an honest one does. The median bounds what any
    minority does, but for `ALWAYS`.
    """
    made = sorted(own for own in trials if own > 0)
    if not made:
        return 0.0
    kth = made[-min(k, len(made))]
    return min(largest_weight(made, k), float(kth), max(float(median(made)), ALWAYS))


def largest_weight(weights: Sequence[float], k: int) -> float:
    """What one of these may weigh to be at most a k-th of all together, when each is cut to that.

    Solves c = (rest + cut * c) / k, where the `cut` that weigh more than c are cut; no weight exceeds
    it when it is at most a k-th already. Of fewer than k, an equal part.
    """
    ordered = sorted(weight for weight in weights if weight > 0)
    if not ordered:
        return 0.0
    k = min(k, len(ordered))
    # Summed from the smallest: a difference of large numbers would lose what the small ones weigh.
    sums = list(accumulate(ordered))
    for cut in range(k):
        limit = sums[-1 - cut] / (k - cut)
        if ordered[-1 - cut] <= limit:
            return limit
    return ordered[0]


def _recent(held: Sequence[Share], weights: Sequence[float], k: int) -> tuple[float, float]:
    """Trials and successes by age, no owner's more than a k-th.

    The median is of the plain counts only: where most owners have been silent for long, it would be
    next to nothing.
    """
    recent = [share.recent for share in held]
    aged = [
        own * trials / share.trials
        for own, share, (trials, _) in zip(weights, held, recent, strict=True)
    ]
    most = largest_weight(aged, k)
    cut = [min(own, most) for own in aged]
    trials = fsum(cut)
    successes = fsum(
        own * successes / trials
        for own, (trials, successes) in zip(cut, recent, strict=True)
        if own > 0
    )
    return trials, min(successes, trials)


_ROUNDING = 1e-9
"""Sums of cut weights err by less. A whole number must not be rounded down to the one before, and a half
is rounded up in the database and here alike."""


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


AGE_STEPS = 64
"""Steps of a half-life by which outcomes age: at 45 days some 17 hours, and 1.1% of the weight. Were there none,
a pattern whose rate is just what is asked for would miss it by a billionth a moment later."""


def recency_weight(occurred: datetime, half_life: timedelta) -> float:
    """The weight under which an outcome is stored: doubles with each half-life after the epoch.

    Sums of these weights need no upkeep: divided by the weight of today they are what they would be
    if every outcome had been weighed by its age today. Bounded to 1,000 doublings either way, which a
    double holds. Ages count in steps: what is expected at one moment is expected at the next.
    """
    doublings = floor((occurred - RECENCY_EPOCH) / half_life * AGE_STEPS) / AGE_STEPS
    return float(2.0 ** min(max(doublings, -1000.0), 1000.0))
