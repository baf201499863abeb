"""Which wording is handed out: the proven one, or at times another to learn about it.

Always handing out the proven wording would never find out that another is better. For a share of
the enhancements the wording is drawn by Thompson sampling (Thompson, 1933): from each variant's Beta
posterior one success rate is drawn, and the highest wins, so that a variant is tried as often as it
may be the best. The chance that the wording had is its propensity; outcomes divided by it are
comparable, however they were handed out (Horvitz and Thompson, 1952).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from scipy.special import betainc, betaincinv

from keeper_grpc.domain.evidence.evidence import Evidence, Prior
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern

NODES = 256
"""Points at which `chances` integrates. The integrand is monotone in [0, 1], so the midpoint rule
errs by less than 1 / (2 * NODES)."""


@dataclass(frozen=True, slots=True)
class ChosenScript:
    """The script that is handed out, empty where there is none, and the chance it had of being it."""

    template: str
    propensity: float


def choose_wording(
    pattern: Pattern, rule: PublicationRule, share: float, rng: Random
) -> ChosenScript:
    """The proven script, or with probability `share` one drawn among those that may be shown.

    Nothing is drawn from `rng` when there is nothing to choose.
    """
    proven = pattern.proven_script(rule)
    variants = sorted(pattern.publishable_scripts(rule), key=lambda script: script.template)
    if not share or len(variants) <= 1:
        return ChosenScript(proven, 1.0)
    posteriors = [_posterior(variant.evidence, pattern.prior) for variant in variants]
    chosen = proven
    if rng.random() < share:
        drawn = [rng.betavariate(*posterior) for posterior in posteriors]
        chosen = variants[drawn.index(max(drawn))].template
    templates = (variant.template for variant in variants)
    explored = dict(zip(templates, chances(posteriors), strict=True))
    return ChosenScript(chosen, share * explored[chosen] + (1 - share) * (chosen == proven))


def chances(posteriors: Sequence[tuple[float, float]]) -> list[float]:
    """The chance of each Beta posterior to have the highest draw; they sum to 1.

    Integrated, not sampled: P(i wins) is the integral over u in (0, 1) of the product of the others'
    distribution functions at i's u-quantile. A sampled propensity would add noise to every estimate
    that divides by it.
    """
    quantiles = (np.arange(NODES) + 0.5) / NODES
    weights = []
    for index, own in enumerate(posteriors):
        rates = betaincinv(*own, quantiles)
        others = [betainc(*other, rates) for at, other in enumerate(posteriors) if at != index]
        weights.append(float(np.mean(np.prod(others, axis=0))) if others else 1.0)
    total = sum(weights)
    return [weight / total for weight in weights]


def _posterior(evidence: Evidence, prior: Prior) -> tuple[float, float]:
    trials, successes = evidence.recent
    return prior.successes + successes, prior.failures + trials - successes
