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

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from keeper_grpc.domain.metrics.as_treated import AsTreated, as_treated
from keeper_grpc.domain.metrics.contrast import Contrast, contrast
from keeper_grpc.domain.metrics.uplift import EMPTY, Arm


@dataclass(frozen=True, slots=True)
class OwnerOutcomes:
    """One owner's reported outcomes in both arms, of questions with one chance of being held out.

    `followed` are those of the advised ones whose advice was followed.
    """

    owner_key: str
    business_category: str
    holdout_share: float
    advised: Arm
    held_out: Arm
    followed: Arm = EMPTY


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
    """What the experiment shows so far. `owners` have outcomes in either arm; `followed` are those of the advised
    whose advice was followed.
    """

    advised: Arm
    held_out: Arm
    owners: int
    comparison: Comparison
    followed: Arm = EMPTY
    as_treated: AsTreated = field(default_factory=AsTreated)

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
        counts = np.zeros((6, len(owners)))
        for each in listed:
            if each.holdout_share == share:
                counts[:, row[each.owner_key]] += (
                    each.advised.trials,
                    each.advised.successes,
                    each.held_out.trials,
                    each.held_out.successes,
                    each.followed.trials,
                    each.followed.successes,
                )
        strata.append(counts)
    found = contrast(strata)
    return Experiment(
        advised=_together([each.advised for each in listed]),
        held_out=_together([each.held_out for each in listed]),
        owners=len(owners),
        comparison=compare(found),
        followed=_together([each.followed for each in listed]),
        as_treated=as_treated(found),
    )


def compare(found: Contrast | None) -> Comparison:
    """The comparison of the arms as assigned."""
    if found is None:
        return Comparison()
    if not found.shared:
        return Comparison(found.success)
    half = found.half_width()
    return Comparison(
        found.success,
        (max(found.success - half, -1.0), min(found.success + half, 1.0)),
        found.variance() / found.independent.of(0.0),
    )


def _together(arms: Sequence[Arm]) -> Arm:
    return Arm(sum(arm.trials for arm in arms), sum(arm.successes for arm in arms))
