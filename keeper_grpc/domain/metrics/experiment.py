"""The holdout experiment: the uplift of advice, with an interval that may be read any day.

Compared are all reported outcomes of the questions for which the network had advice, by whether chance held the
advice back: as assigned, whatever the account then did (intention to treat).

Three things make an ordinary interval wrong here. It is read every day, and one that holds for a single reading is
wrong sooner or later. The questions of one owner are not independent, and one that repeats stays in its arm.
And the share held out may change. So:

- *At every look.* The half-width is that of an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy
  and Ramdas, 2024): Robbins' normal mixture boundary over the information, 1 / variance. It is meant for sums of
  independent steps; owners' questions make the steps depend on each other, never negatively, and by Slepian's
  inequality the boundary is then crossed less often.
- *By owner.* The variance is that between owners (Liang and Zeger, 1986), never less than that of independent
  outcomes, and the half-width grows by Student's factor for as many owners as carry weight: few, or a few big ones,
  show little of how owners differ.
- *By share.* Arms are compared within the questions that had one chance of being held out, and the differences
  weighted as Mantel and Haenszel's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import lambertw, stdtrit

from keeper_grpc.domain.metrics.uplift import Arm, Z

LEVEL = 0.05
"""The chance that the true uplift is ever outside."""

SHARPEST = 0.05
"""The standard error at which the interval is narrowest for what it promises: that of a comparison which just shows an
uplift of 15 to 20 points. Fixed beforehand: it decides about the width, never about the promise."""

_PRECISION = SHARPEST**-2 / (-float(lambertw(-(LEVEL**2) / math.e, -1).real) - 1)
"""The precision of the mixture's normal distribution: the boundary is lowest at SHARPEST."""

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OwnerOutcomes:
    """One owner's reported outcomes in both arms, of questions with one chance of being held out.

    `followed` of the advised ones are of advice that was followed.
    """

    owner_key: str
    business_category: str
    holdout_share: float
    advised: Arm
    held_out: Arm
    followed: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference of the arms, None while one is empty, and its interval at every look.

    `design_effect` is the variance between owners in variances of independent outcomes, at least 1.
    """

    difference: float | None = None
    interval: tuple[float, float] = (-1.0, 1.0)
    design_effect: float = 1.0


@dataclass(frozen=True, slots=True)
class Experiment:
    """What the experiment shows so far. `owners` have outcomes in either arm."""

    advised: Arm
    held_out: Arm
    owners: int
    comparison: Comparison

    @property
    def difference(self) -> float | None:
        """The success rate with advice less that of those held out; None while an arm is empty."""
        return self.comparison.difference

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95% interval, which holds at every look; (-1, 1) before it says anything."""
        return self.comparison.interval

    @property
    def successes_brought(self) -> tuple[float, float, float]:
        """The successes of advice that would not have come without it, and their interval."""
        trials = self.advised.trials
        low, high = self.interval
        return trials * (self.difference or 0.0), trials * low, trials * high


def experiment(outcomes: Sequence[OwnerOutcomes]) -> Experiment:
    """Compare the arms."""
    listed = [each for each in outcomes if each.advised.trials or each.held_out.trials]
    owners = sorted({each.owner_key for each in listed})
    row = {owner: place for place, owner in enumerate(owners)}
    strata = []
    for share in sorted({each.holdout_share for each in listed}):
        counts = np.zeros((4, len(owners)))
        for each in listed:
            if each.holdout_share == share:
                counts[:, row[each.owner_key]] += (
                    each.advised.trials,
                    each.advised.successes,
                    each.held_out.trials,
                    each.held_out.successes,
                )
        strata.append(counts)
    return Experiment(
        advised=_together([each.advised for each in listed]),
        held_out=_together([each.held_out for each in listed]),
        owners=len(owners),
        comparison=compare(strata),
    )


def compare(strata: Sequence[Counts]) -> Comparison:
    """Compare the arms of every stratum. Each has four rows (trials and successes of the advised, then of the
    held out) and a column for each owner.
    """
    both = [each for each in strata if each[0].any() and each[2].any()]
    if not both:
        return Comparison()
    # Where one owner is a whole arm, whatever distinguishes it looks like an effect.
    known = [each for each in both if _shared(each[0]) and _shared(each[2])] or both
    totals = [each.sum(axis=1) for each in known]
    weights = np.array([advised * held / (advised + held) for advised, _, held, _ in totals])
    weights /= weights.sum()
    difference = 0.0
    independent = 0.0
    influence, weight = np.zeros(known[0].shape[1]), np.zeros(known[0].shape[1])
    for each, (advised, won, held, won_held), share in zip(known, totals, weights, strict=True):
        rate, rate_held = won / advised, won_held / held
        difference += share * (rate - rate_held)
        influence += share * (
            (each[1] - rate * each[0]) / advised - (each[3] - rate_held * each[2]) / held
        )
        weight += share**2 * ((each[0] / advised) ** 2 + (each[2] / held) ** 2)
        independent += share**2 * (_variance(won, advised) + _variance(won_held, held))
    if not all(_shared(each[0]) and _shared(each[2]) for each in known):
        return Comparison(difference)
    owners = np.count_nonzero(weight)
    between = owners / (owners - 1) * float(influence @ influence)
    variance = max(between, independent)
    half = half_width(variance) * _few(weight)
    return Comparison(
        difference,
        (max(difference - half, -1.0), min(difference + half, 1.0)),
        variance / independent,
    )


def half_width(variance: float) -> float:
    """The half-width that holds at every look, for a difference of this variance."""
    information = 1 / variance + _PRECISION
    return math.sqrt(information * math.log(information / (_PRECISION * LEVEL**2))) * variance


def _shared(trials: Counts) -> bool:
    """Whether more than one owner has any."""
    return bool(np.count_nonzero(trials) > 1)


def _variance(successes: float, trials: float) -> float:
    """The variance of a rate of independent outcomes, with a success and a failure added (Agresti and Caffo,
    2000): without them a rate of 0 or 1 would have none.
    """
    rate = (successes + 1) / (trials + 2)
    return float(rate * (1 - rate) / (trials + 2))


def _few(weight: Counts) -> float:
    """Student's factor for as many owners as carry weight: at least 1."""
    effective = float(weight.sum() ** 2 / (weight @ weight))
    return float(-stdtrit(max(effective - 1, 1.0), LEVEL / 2)) / Z


def _together(arms: Sequence[Arm]) -> Arm:
    return Arm(sum(arm.trials for arm in arms), sum(arm.successes for arm in arms))
