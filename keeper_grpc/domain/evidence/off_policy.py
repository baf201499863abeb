"""What scripts and patterns are worth, from outcomes of choices that chance made with known propensities.

Three estimates of how often something succeeds where it could be chosen (Saito et al., Open Bandit Dataset and
Pipeline, 2021):

- inverse propensity: outcomes divided by their chance, over all choices (Horvitz and Thompson, 1952). Unbiased
  where it could be chosen in all of them, and noisy;
- self-normalized: over the sum of the inverse chances instead (Swaminathan and Joachims, 2015);
- doubly robust: the rate that was expected of each question, moved by the self-normalized mean of how much better
  the outcomes were (Dudik, Langford and Li, 2011). It does not go by which questions it happened to be drawn for.

Owners weigh as in any other evidence: no more than a k-th of the choices, whatever was chosen for them. Their
questions are not independent, so variances are those between owners (Liang and Zeger, 1986), and never less than
those of independent outcomes; few owners widen an interval by Student's factor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from keeper_grpc.domain.evidence.evidence import cut_weights

LEVEL = 0.05
"""The chance that the truth is outside of an interval."""

_VARIANCE = 0.25
"""Of one outcome, at most."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One owner's outcomes of something that chance chose.

    `weight` sums the inverse propensities, `squares` their squares, `excess` by how much each outcome exceeded
    what was expected, divided by its propensity.
    """

    trials: int
    weight: float
    squares: float
    excess: float


ByOwner: TypeAlias = Mapping[str, Drawn]

_NOTHING = Drawn(0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95% interval."""

    value: float
    interval: tuple[float, float]


def contrast(one: ByOwner, other: ByOwner, k: int) -> Estimate | None:
    """By how much one exceeds the other, beyond what was expected of the questions.

    None where fewer than k owners stand behind either.
    """
    owners = sorted({*one, *other})
    sides = [[side.get(owner, _NOTHING) for owner in owners] for side in (one, other)]
    if any(sum(own.trials > 0 for own in side) < k for side in sides):
        return None
    capped = _cuts([sum(side[at].trials for side in sides) for at in range(len(owners))], k)
    means, influences, least = [], [], 0.0
    weights = np.zeros(len(owners))
    for side in sides:
        weight = capped * np.array([own.weight for own in side])
        excess = capped * np.array([own.excess for own in side])
        mean = excess.sum() / weight.sum()
        means.append(float(mean))
        influences.append((excess - mean * weight) / weight.sum())
        squares = capped**2 * np.array([own.squares for own in side])
        least += _VARIANCE * float(squares.sum() / weight.sum() ** 2)
        weights += (weight / weight.sum()) ** 2
    return _estimate(means[0] - means[1], influences[0] - influences[1], least, weights)


@dataclass(frozen=True, slots=True)
class Choice:
    """One question in which something could be chosen, and what became of what was.

    `expected` is the success rate that was expected of the something; `propensity` the chance it had; `chosen`
    whether it was; `success` that of whatever was chosen.
    """

    owner: str
    expected: float
    propensity: float
    chosen: bool
    success: bool


@dataclass(frozen=True, slots=True)
class Value:
    """How often something succeeds where it can be chosen, by each estimator."""

    choices: int
    chosen: int
    owners: int
    inverse_propensity: Estimate
    self_normalized: Estimate
    doubly_robust: Estimate


@dataclass(frozen=True, slots=True)
class OwnChoices:
    """Choices of one owner, summed up: how many, and of what was `chosen` inverse propensities, their squares,
    successes and excesses; and what was expected.
    """

    owner: str
    choices: int
    weight: float
    squares: float
    good: float
    excess: float
    expected: float
    chosen: int

    @classmethod
    def of(cls, choice: Choice) -> OwnChoices:
        """Of one choice."""
        inverse = 1 / choice.propensity if choice.chosen else 0.0
        return cls(
            choice.owner,
            1,
            inverse,
            inverse**2,
            inverse * choice.success,
            inverse * (choice.success - choice.expected),
            choice.expected,
            int(choice.chosen),
        )

    def unchosen(self) -> OwnChoices:
        """The same, as choices of something that never was chosen."""
        return OwnChoices(self.owner, self.choices, 0.0, 0.0, 0.0, 0.0, self.expected, 0)


def value(choices: Sequence[Choice | OwnChoices], k: int) -> Value | None:
    """The estimates; None where fewer than k owners have outcomes of it."""
    summed = [OwnChoices.of(each) if isinstance(each, Choice) else each for each in choices]
    owners = sorted({each.owner for each in summed})
    row = {owner: place for place, owner in enumerate(owners)}
    sums = np.zeros((7, len(owners)))
    for each in summed:
        sums[:, row[each.owner]] += (
            each.choices,
            each.weight,
            each.squares,
            each.good,
            each.excess,
            each.expected,
            each.chosen,
        )
    trials, weight, squares, good, excess, expected, chosen = sums
    held_by = int(np.count_nonzero(chosen))
    if held_by < k:
        return None
    capped = _cuts([int(own) for own in trials], k)
    total = float((capped * trials).sum())
    inverse_sum = float((capped * weight).sum())
    carried = (capped * weight / inverse_sum) ** 2
    least = _VARIANCE * float((capped**2 * squares).sum()) / inverse_sum**2

    plain = float((capped * good).sum()) / total
    rate = float((capped * good).sum()) / inverse_sum
    usual = float((capped * expected).sum()) / total
    moved = float((capped * excess).sum()) / inverse_sum
    return Value(
        choices=int(trials.sum()),
        chosen=int(chosen.sum()),
        owners=held_by,
        inverse_propensity=_estimate(
            plain, capped * (good - plain * trials) / total, least, carried
        ),
        self_normalized=_estimate(
            rate, capped * (good - rate * weight) / inverse_sum, least, carried
        ),
        doubly_robust=_estimate(
            usual + moved,
            capped * (expected - usual * trials) / total
            + capped * (excess - moved * weight) / inverse_sum,
            least,
            carried,
        ),
    )


def _cuts(trials: Sequence[int], k: int) -> NDArray[np.float64]:
    """What each choice of an owner weighs; owners have at least one."""
    return np.array(
        [weight / own for weight, own in zip(cut_weights(trials, k), trials, strict=True)]
    )


def _estimate(
    figure: float, influence: NDArray[np.float64], least: float, weights: NDArray[np.float64]
) -> Estimate:
    """The figure with its interval, from each owner's influence on it and how much each carries."""
    owners = len(influence)
    between = owners / (owners - 1) * float(influence @ influence) if owners > 1 else math.inf
    effective = float(weights.sum() ** 2 / (weights @ weights))
    factor = -float(stdtrit(max(effective - 1, 1.0), LEVEL / 2))
    half = factor * math.sqrt(max(between, least))
    return Estimate(figure, (figure - half, figure + half))
