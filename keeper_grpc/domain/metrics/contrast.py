"""What chance assigned: how the arms of the experiment differ in success and in what was followed, by owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from keeper_grpc.domain.metrics.confidence_sequence import LEVEL, half_width
from keeper_grpc.domain.metrics.uplift import Z

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Variances:
    """Of two estimates and what they have in common: of success, of the share that followed, and between both."""

    success: float
    followed: float
    both: float

    def of(self, per_followed: float) -> float:
        """The variance of `success - per_followed * followed`."""
        return self.success + per_followed**2 * self.followed - 2 * per_followed * self.both


@dataclass(frozen=True, slots=True)
class Contrast:
    """The advised arm less the held-out one: `success` as a rate, `followed` as the share that followed advice.

    `between` are their variances between owners (Liang and Zeger, 1986), `independent` those that independent
    outcomes would have. `few` is Student's factor for as many owners as carry weight. Where an arm is one owner's
    nothing is `shared`, and no interval holds.
    """

    success: float
    followed: float
    between: Variances
    independent: Variances
    few: float
    shared: bool

    def variance(self, per_followed: float = 0.0) -> float:
        """The variance of `success - per_followed * followed`: never less than that of independent outcomes."""
        return max(self.between.of(per_followed), self.independent.of(per_followed))

    def half_width(self, per_followed: float = 0.0) -> float:
        """The half-width of `success - per_followed * followed` at every look."""
        return half_width(self.variance(per_followed)) * self.few


def contrast(strata: Sequence[Counts]) -> Contrast | None:
    """How the arms differ, None while one is empty.

    Each stratum has rows of trials and successes of the advised, trials and successes of the held out, and perhaps
    how many of the advised followed and succeeded so; and a column for each owner.
    """
    both = [each for each in strata if each[0].any() and each[2].any()]
    if not both:
        return None
    # Where one owner is a whole arm, whatever distinguishes it looks like an effect.
    known = [each for each in both if _shared(each[0]) and _shared(each[2])] or both
    sums = [_whole(each) for each in known]
    totals = [each.sum(axis=1) for each in sums]
    shares = np.array([each[0] * each[2] / (each[0] + each[2]) for each in totals])
    shares /= shares.sum()
    owners = known[0].shape[1]
    rates, influence, weight = np.zeros(2), np.zeros((2, owners)), np.zeros(owners)
    independent = np.zeros(3)
    for each, total, share in zip(sums, totals, shares, strict=True):
        advised, won, held, won_held, followed, won_following = total
        rate, rate_held, rate_followed = won / advised, won_held / held, followed / advised
        rates += share * np.array([rate - rate_held, rate_followed])
        influence[0] += share * (
            (each[1] - rate * each[0]) / advised - (each[3] - rate_held * each[2]) / held
        )
        influence[1] += share * (each[4] - rate_followed * each[0]) / advised
        weight += share**2 * ((each[0] / advised) ** 2 + (each[2] / held) ** 2)
        independent += share**2 * (
            _variances(advised, won, followed, won_following)
            + np.array([_variances(held, won_held, 0.0, 0.0)[0], 0.0, 0.0])
        )
    weighed = int(np.count_nonzero(weight))
    spread = weighed / max(weighed - 1, 1) * influence @ influence.T
    return Contrast(
        success=float(rates[0]),
        followed=float(rates[1]),
        between=Variances(float(spread[0, 0]), float(spread[1, 1]), float(spread[0, 1])),
        independent=Variances(*independent.tolist()),
        few=_few(weight),
        shared=all(_shared(each[0]) and _shared(each[2]) for each in known),
    )


def _whole(stratum: Counts) -> Counts:
    """With rows of what was followed: none, where nothing is said of it."""
    return np.vstack([stratum, np.zeros((6 - len(stratum), stratum.shape[1]))])


def _shared(trials: Counts) -> bool:
    """Whether more than one owner has any."""
    return bool(np.count_nonzero(trials) > 1)


def _variances(trials: float, won: float, followed: float, won_following: float) -> Counts:
    """The variances of two rates of independent outcomes and what they have in common, with a success and a failure
    added (Agresti and Caffo, 2000), each half followed: without them a rate of 0 or 1 would have none.
    """
    trials += 2
    success, follow, both = (
        (won + 1) / trials,
        (followed + 1) / trials,
        (won_following + 0.5) / trials,
    )
    return (
        np.array([success * (1 - success), follow * (1 - follow), both - success * follow]) / trials
    )


def _few(weight: Counts) -> float:
    """Student's factor for as many owners as carry weight: at least 1."""
    effective = float(weight.sum() ** 2 / (weight @ weight))
    return float(-stdtrit(max(effective - 1, 1.0), LEVEL / 2)) / Z
