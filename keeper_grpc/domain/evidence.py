"""What many outcomes say about how well something works.

`success_rate` is the plain quotient that people expect. Decisions use `lower_bound`, the 5% quantile
of the Beta posterior: little evidence pulls it down, so that 3 of 3 (0.57) does not beat 190 of 200
(0.92). The prior is Jeffreys' Beta(1/2, 1/2), which claims nothing; a catalog pattern brings its own
(Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.4).
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import betaincinv

LOWER_QUANTILE = 0.05
"""Lower end of a 90% credible interval: wrong one time in twenty on the side that would hurt."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed before any outcome, in pseudo-successes and pseudo-failures."""

    successes: float = 0.5
    failures: float = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """Outcomes of one pattern or one script, counted.

    `accounts` distinct accounts made the `trials`, and the busiest of them made
    `largest_account_trials`. `revenue_total` sums the `revenue_count` outcomes that measured it.
    """

    trials: int = 0
    successes: int = 0
    accounts: int = 0
    largest_account_trials: int = 0
    revenue_total: float = 0.0
    revenue_count: int = 0

    @property
    def success_rate(self) -> float:
        """Successes / trials; 0 without trials."""
        return self.successes / self.trials if self.trials else 0.0

    @property
    def mean_revenue(self) -> float | None:
        """Mean revenue impact of the outcomes that measured it."""
        return self.revenue_total / self.revenue_count if self.revenue_count else None

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
