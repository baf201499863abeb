"""Do bounds keep their promise? Networks with patterns of known true rates, judged by the domain code.

Each network's true rates are drawn from a world, outcomes from the rates. Priors are learned from the
network's own patterns, as in service, and the bounds are what would be shown. What is counted is how
often a truth lies below its bound: of all patterns, of those that are shown, and of the best of ten.

bench/integrity.py prints the figures, tests/unit/evidence/test_coverage.py holds the code to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.evidence.evidence import Evidence
from keeper_grpc.domain.evidence.priors import Outcomes, Priors

Floats = NDArray[np.float64]
World = Callable[[np.random.Generator, int], Floats]

SHOWN_FROM = 0.60
BEST_OF = 10


def mixed(share: float, low: tuple[float, float], high: tuple[float, float]) -> World:
    """Two kinds of patterns: a share that seldom works, the rest often."""

    def draw(chance: np.random.Generator, count: int) -> Floats:
        seldom = chance.random(count) < share
        return np.where(seldom, chance.beta(*low, count), chance.beta(*high, count))

    return draw


WORLDS: dict[str, World] = {
    "uniform": lambda chance, count: chance.uniform(0, 1, count),
    "Beta(4, 4)": lambda chance, count: chance.beta(4, 4, count),
    "Beta(2, 8)": lambda chance, count: chance.beta(2, 8, count),
    "Beta(8, 2)": lambda chance, count: chance.beta(8, 2, count),
    "half and half": mixed(0.5, (2, 8), (8, 2)),
    "two narrow peaks": mixed(0.5, (20, 60), (60, 20)),
    "one in five works": mixed(0.8, (4, 12), (12, 4)),
    "one in ten works": mixed(0.9, (2, 10), (10, 2)),
    "Beta(1, 3)": lambda chance, count: chance.beta(1, 3, count),
    "Beta(1, 9)": lambda chance, count: chance.beta(1, 9, count),
    "all or nothing": lambda chance, count: chance.beta(0.5, 0.5, count),
    "all at a half": lambda chance, count: chance.beta(50, 50, count),
    "all at three tenths": lambda chance, count: chance.beta(30, 70, count),
    "four in ten, each": lambda _, count: np.full(count, 0.4),
}


@dataclass(frozen=True, slots=True)
class Misses:
    """Whether each truth lies below its bound."""

    all: list[bool] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)
    best: list[bool] = field(default_factory=list)


def misses(
    world: World, trials: int, patterns: int, networks: int, chance: np.random.Generator
) -> Misses:
    """The misses in so many networks of so many patterns with so many trials each."""
    found = Misses()
    bound = _bounds(trials)
    for _ in range(networks):
        truths = world(chance, patterns)
        successes = chance.binomial(trials, truths)
        known = tuple(sorted(successes.tolist()))
        bounds = np.array([bound(known, int(good)) for good in successes])
        missed = truths < bounds
        found.all.extend(missed.tolist())
        found.shown.extend(missed[successes / trials >= SHOWN_FROM].tolist())
        for start in range(0, patterns - BEST_OF + 1, BEST_OF):
            chosen = start + int(bounds[start : start + BEST_OF].argmax())
            found.best.append(bool(missed[chosen]))
    return found


def _bounds(trials: int) -> Callable[[tuple[int, ...], int], float]:
    """The bound of a pattern of so many successes in the network of these."""

    def outcomes(good: int) -> Outcomes:
        return Outcomes("type", "category", trials, good)

    @lru_cache(1)
    def priors(known: tuple[int, ...]) -> Priors:
        return Priors(map(outcomes, known))

    @lru_cache(100_000)
    def bound(known: tuple[int, ...], good: int) -> float:
        learned = priors(known).of("type", "category", outcomes(good))
        return Evidence(trials, good).lower_bound(learned.cautious)

    return bound
