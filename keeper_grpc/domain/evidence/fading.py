"""Whether a pattern that worked has stopped working, before its average tells.

Two moving averages are compared, as EWMA control charts do (Roberts, 1959): a fast one, which forgets half
within days, with what the slow one remembers beside it. A pattern fades when the most that its newest
outcomes allow is less than the least that its earlier ones promise. When the average has caught up, the two
agree again, and its rate says the rest.

Both are weighed, so that no owner is more than a k-th of either, and a pattern fades only where it does
without each of its owners as well: one owner's failures, however many, cannot make it fade, and as what is
told to an owner holds without its own outcomes, there is one answer for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import fsum

from scipy.special import betaincinv

from keeper_grpc.domain.evidence.evidence import largest_weight

FAST = timedelta(days=6)
"""Half-life of the newest outcomes. A shorter one finds a reversal sooner where there are many outcomes a
day, and not at all where there is one: docs/evidence.md has the figures of this choice and the next two.
Weights tell apart what is less than 16 years from 2025; beyond, nothing seems earlier, and so nothing fades."""

SLOW = timedelta(days=45)
"""Half-life of what they are compared with: about the age at which evidence counts half, but a detector's
limits must not move with that setting."""

DOUBT = 0.13
"""The share of doubt on either side of a bound. That both bounds are crossed by chance is far less likely."""

MOST = 60.0
"""Trials that either side is worth. Rates wobble with seasons and situations: however many outcomes there
are, a fall by less than some fifteen points is no end."""

PRESENT = 0.1
"""Trials by age that make an owner one of the newest outcomes' owners: one of less than three weeks ago."""


@dataclass(frozen=True, slots=True)
class Course:
    """One owner's outcomes of a pattern by age: halved by `FAST` and halved by `SLOW`."""

    fast_trials: float
    fast_successes: float
    slow_trials: float
    slow_successes: float

    @property
    def newest(self) -> _Sum:
        return _Sum(self.fast_trials, self.fast_successes)

    @property
    def earlier(self) -> _Sum:
        """What the slow average remembers and the fast one has forgotten."""
        return _Sum(self.slow_trials - self.fast_trials, self.slow_successes - self.fast_successes)


@dataclass(frozen=True, slots=True)
class _Sum:
    """Trials and successes, of which rounding may have left less than nothing."""

    trials: float
    successes: float


def fades(courses: Sequence[Course], k: int) -> bool:
    """Whether these owners' newest outcomes say that a pattern works no longer as it did."""
    present = [course for course in courses if course.fast_trials >= PRESENT]
    if len(present) < k or not fell(courses, k):
        return False
    return all(fell([*courses[:index], *courses[index + 1 :]], k) for index in range(len(courses)))


def fell(courses: Sequence[Course], k: int) -> bool:
    """Whether the newest outcomes are worse than the earlier ones, whoever made them.

    What never worked cannot stop working.
    """
    newest = _bounded([course.newest for course in courses], k)
    earlier = _bounded([course.earlier for course in courses], k)
    if earlier.successes <= 0:
        return False
    most = betaincinv(1 + newest.successes, 1 + newest.trials - newest.successes, 1 - DOUBT)
    # Of the outcomes alone: a prior would promise something of a pattern that has hardly any, or that seldom works.
    least = betaincinv(earlier.successes, 1 + earlier.trials - earlier.successes, DOUBT)
    return bool(most < least)


def _bounded(sums: Sequence[_Sum], k: int) -> _Sum:
    """All together, no owner's more than a k-th nor than k owners', worth `MOST` at most."""
    held = [each for each in sums if each.trials > 0]
    if not held:
        return _Sum(0.0, 0.0)
    trials = [each.trials for each in held]
    limit = min(largest_weight(trials, k), sorted(trials)[-min(k, len(trials))])
    cut = [min(own, limit) for own in trials]
    weight = fsum(cut)
    rate = (
        fsum(
            own * min(max(each.successes / each.trials, 0.0), 1.0)
            for own, each in zip(cut, held, strict=True)
        )
        / weight
    )
    worth = min(weight, MOST)
    return _Sum(worth, worth * min(rate, 1.0))
