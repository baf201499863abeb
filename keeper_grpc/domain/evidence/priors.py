"""The prior of a pattern, learned from the other patterns of its kind (empirical Bayes).

A bound keeps its promise for what is shown, and for the best of many, only under a prior that fits the
world: from a flat one, the three of three that looks best among many is mostly luck. So the prior of a
pattern is what the others of its type and category say about rates, of its type where those are too few,
and `Prior()` where these are too few as well (Efron and Morris, 1975; Carlin and Louis, Bayesian Methods
for Data Analysis, 3rd ed., chapter 5). The pattern itself is left out: no outcome counts twice.

Patterns' rates are taken for draws from a Beta distribution of unknown mean and strength. Every pair on a
grid is weighed by how likely it makes the counts, and the prior is the Beta with the mean and variance of
a rate under all pairs by weight: with few patterns it is wide, because little is known of the world.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

from keeper_grpc.domain.evidence.evidence import Prior

MIN_PATTERNS = 5
"""Other patterns from which a prior is learned. Fewer say next to nothing about the spread of rates."""

STRENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Pseudo-trials that a prior may be worth. The largest bounds what other patterns' outcomes, however many
and however alike, weigh against the pattern's own; all are as likely before anything is known."""

_MEANS = (np.arange(20) + 0.5) / 20
_SUCCESSES = np.outer(_MEANS, STRENGTHS).ravel()
_FAILURES = np.outer(1 - _MEANS, STRENGTHS).ravel()

_Likelihoods: TypeAlias = NDArray[np.float64]
"""Log likelihoods of the grid's pairs, `(pairs,)`."""


class Source(Enum):
    """Where a prior comes from."""

    CATEGORY = "category"
    TYPE = "type"
    DEFAULT = "default"
    AUTHOR = "author"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What one published pattern teaches: its type, its category, and its evidence as it is shown."""

    pattern_type: str
    business_category: str
    trials: int
    successes: int


@dataclass(frozen=True, slots=True)
class LearnedPrior:
    """A prior, where it comes from, and from how many patterns."""

    prior: Prior
    source: Source
    patterns: int


DEFAULT_PRIOR = LearnedPrior(Prior(), Source.DEFAULT, 0)


@dataclass(slots=True)
class _Group:
    patterns: int
    likelihoods: _Likelihoods


class Priors:
    """What the published patterns say about the rates of others."""

    def __init__(self, published: Iterable[Outcomes]) -> None:
        self._groups: dict[tuple[str, str], _Group] = defaultdict(
            lambda: _Group(0, np.zeros(len(_SUCCESSES)))
        )
        for outcomes in published:
            for key in _keys(outcomes.pattern_type, outcomes.business_category):
                group = self._groups[key]
                group.patterns += 1
                group.likelihoods += _likelihoods(outcomes.trials, outcomes.successes)

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """The types and categories of published patterns, and each type with an empty category."""
        return sorted(self._groups)

    def of(
        self, pattern_type: str, business_category: str, besides: Outcomes | None = None
    ) -> LearnedPrior:
        """The prior of a pattern of this type and category.

        `besides` are the pattern's own outcomes, if they are among the published ones.
        """
        for key, source in zip(
            _keys(pattern_type, business_category), (Source.CATEGORY, Source.TYPE), strict=True
        ):
            group = self._groups.get(key)
            if group is None:
                continue
            others, likelihoods = group.patterns, group.likelihoods
            if besides is not None:
                others -= 1
                likelihoods = likelihoods - _likelihoods(besides.trials, besides.successes)
            if others >= MIN_PATTERNS:
                return LearnedPrior(_fit(likelihoods), source, others)
        return DEFAULT_PRIOR


def _keys(pattern_type: str, business_category: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (pattern_type, business_category), (pattern_type, "")


@lru_cache(maxsize=4096)
def _likelihoods(trials: int, successes: int) -> _Likelihoods:
    """Of so many successes in so many trials, when the rate is a draw from each pair's Beta."""
    likelihoods: _Likelihoods = betaln(
        _SUCCESSES + successes, _FAILURES + trials - successes
    ) - betaln(_SUCCESSES, _FAILURES)
    return likelihoods


def _fit(likelihoods: _Likelihoods) -> Prior:
    """The Beta with the mean and the variance of a rate under all pairs, weighed by likelihood."""
    weights = np.exp(likelihoods - likelihoods.max())
    weights /= weights.sum()
    strengths = _SUCCESSES + _FAILURES
    means = _SUCCESSES / strengths
    mean = float(weights @ means)
    squares = float(weights @ (means * (1 - means) / (strengths + 1) + means**2))
    strength = mean * (1 - mean) / (squares - mean**2) - 1
    return Prior(mean * strength, (1 - mean) * strength)


@dataclass(frozen=True, slots=True)
class Judged:
    """A pattern whose evidence is weighed, and the prior that it has."""

    pattern_id: UUID
    outcomes: Outcomes
    published: bool
    current: LearnedPrior


@dataclass(frozen=True, slots=True)
class Assigned:
    """The prior that a pattern gets, and the outcomes that it had then."""

    pattern_id: UUID
    outcomes: Outcomes
    learned: LearnedPrior


LearnedPriors: TypeAlias = Mapping[tuple[str, str], LearnedPrior]
"""By type and category; an empty category stands for every one of the type."""

SAME = 0.01
"""Relative difference below which a prior stays: it moves no bound by a tenth of a point, and a write of
every pattern at every turn would be for nothing."""


def learn(judged: Sequence[Judged]) -> tuple[list[Assigned], LearnedPriors]:
    """The priors that change, and those of patterns that are yet to come.

    Patterns that are not published teach nothing: a prior is shown, and must not tell of them. An
    author's prior stays, though the outcomes of the pattern teach the others.
    """
    priors = Priors(pattern.outcomes for pattern in judged if pattern.published)
    known: dict[tuple[Outcomes, bool], LearnedPrior] = {}
    assigned = []
    for pattern in judged:
        if pattern.current.source is Source.AUTHOR:
            continue
        case = (
            pattern.outcomes if pattern.published else _without(pattern.outcomes),
            pattern.published,
        )
        if case not in known:
            known[case] = priors.of(
                pattern.outcomes.pattern_type,
                pattern.outcomes.business_category,
                pattern.outcomes if pattern.published else None,
            )
        if not _same(known[case], pattern.current):
            assigned.append(Assigned(pattern.pattern_id, pattern.outcomes, known[case]))
    to_come = {
        key: learned
        for key in priors.kinds
        if (learned := priors.of(*key)).source is not Source.DEFAULT
    }
    return assigned, to_come


def _without(outcomes: Outcomes) -> Outcomes:
    """The kind alone: what the outcomes of an unpublished pattern were makes no difference."""
    return replace(outcomes, trials=0, successes=0)


def _same(one: LearnedPrior, other: LearnedPrior) -> bool:
    return one.source is other.source and all(
        abs(a - b) <= SAME * b
        for a, b in (
            (one.prior.successes, other.prior.successes),
            (one.prior.failures, other.prior.failures),
        )
    )
