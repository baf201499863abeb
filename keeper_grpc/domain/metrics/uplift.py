"""The uplift of advice: the success rate with it, less that of the holdout."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959964
"""Two-sided 95%."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Reported outcomes of one arm of the experiment."""

    trials: int
    successes: int

    @property
    def rate(self) -> float:
        """Successes / trials; 0 without trials."""
        return self.successes / self.trials if self.trials else 0.0

    def interval(self, design_effect: float = 1.0) -> tuple[float, float]:
        """The 95% score interval of the rate (Wilson, 1927), as of so many times fewer trials."""
        if not self.trials:
            return 0.0, 1.0
        trials = self.trials / design_effect
        centre = self.rate + Z**2 / (2 * trials)
        half = Z * math.sqrt(self.rate * (1 - self.rate) / trials + Z**2 / (4 * trials**2))
        scale = 1 + Z**2 / trials
        # Rounding may put an end on the wrong side of a rate of 0 or 1.
        return (
            min(max((centre - half) / scale, 0.0), self.rate),
            max(min((centre + half) / scale, 1.0), self.rate),
        )


EMPTY = Arm(0, 0)
"""An arm without outcomes."""


@dataclass(frozen=True, slots=True)
class Uplift:
    """Advised against held out, where the network had advice for both.

    Only reported outcomes count: if one arm reports its failures less often than the other, the difference is
    biased, and no interval shows that.
    """

    advised: Arm
    held_out: Arm

    @property
    def difference(self) -> float:
        """The advised arm's rate less the held-out arm's."""
        return self.advised.rate - self.held_out.rate

    def interval(self, design_effect: float = 1.0) -> tuple[float, float]:
        """The difference's 95% interval (Newcombe, 1998, method 10); (-1, 1) without outcomes.

        It holds for one look. Independent outcomes have a design effect of 1; those of a few owners more.
        """
        low, high = self.advised.interval(design_effect)
        low_held, high_held = self.held_out.interval(design_effect)
        below = math.hypot(self.advised.rate - low, high_held - self.held_out.rate)
        above = math.hypot(high - self.advised.rate, self.held_out.rate - low_held)
        return max(self.difference - below, -1.0), min(self.difference + above, 1.0)
