"""How much the facts of a condition matter to patterns of a type, learned from its patterns (empirical Bayes).

Of some conditions every value works alike: the weekday may say nothing, and the channel everything. Each published
pattern contrasts the outcomes that share a fact with those that do not. How far the contrasts of one condition spread
beyond what chance alone makes of them is the variance of its effect, pooled over the type's patterns in all categories
by the method of moments (DerSimonian and Laird, 1986). It shrinks each contrast and weighs it beside those of
other facts (domain/evidence/expectation.py), so that conditions that say nothing do not dilute those that do.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

SPREAD = 0.5
"""The variance of a fact's effect, in log odds squared, before anything is known: one standard deviation takes 50% to
67%."""

IMAGINED = 4.0
"""Contrasts without noise that `SPREAD` counts as."""

Spreads: TypeAlias = Mapping[str, float]
"""Variances of facts' effects on the log odds of success, by the condition's key."""

UNKNOWN: Spreads = {}

Outcomes: TypeAlias = tuple[float, float]
"""Trials and successes."""


@dataclass(frozen=True, slots=True)
class FactContrast:
    """One published pattern's outcomes that share a fact, and the others, each of k owners at least."""

    pattern_type: str
    key: str
    shared: Outcomes
    others: Outcomes


def learn_spreads(contrasts: Iterable[FactContrast]) -> Mapping[str, Spreads]:
    """The spreads of each type, in two decimals."""
    sums: dict[tuple[str, str], tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for contrast in contrasts:
        effect = log_odds(*contrast.shared) - log_odds(*contrast.others)
        chance = noise(contrast.shared, contrast.others)
        weight = 1 / (chance + SPREAD) ** 2
        known, weights = sums[contrast.pattern_type, contrast.key]
        sums[contrast.pattern_type, contrast.key] = (
            known + weight * (effect**2 - chance),
            weights + weight,
        )
    imagined = IMAGINED / (2 * SPREAD) ** 2
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for (pattern_type, key), (known, weights) in sorted(sums.items()):
        spread = (known + imagined * SPREAD) / (weights + imagined)
        found[pattern_type][key] = round(max(spread, 0.0), 2)
    return found


def spread_of(key: str, spreads: Spreads) -> float:
    """The spread of one condition; `SPREAD` where nothing is known."""
    return spreads.get(key, SPREAD)


def log_odds(trials: float, successes: float) -> float:
    """Of the successes, with half an outcome more of each kind (Haldane): finite also for 0 of 3."""
    return math.log((successes + 0.5) / (trials - successes + 0.5))


def noise(shared: Outcomes, others: Outcomes) -> float:
    """How far chance moves the difference of the log odds, squared, were the rates one and the same."""
    trials = shared[0] + others[0]
    rate = (shared[1] + others[1] + 0.5) / (trials + 1)
    return (1 / shared[0] + 1 / others[0]) / (rate * (1 - rate))
