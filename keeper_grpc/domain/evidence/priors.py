"""The priors of a pattern, learned from the other patterns of its kind (hierarchical Bayes).

Patterns' rates are taken for draws from a Beta distribution of unknown mean and strength. Every pair on a grid
is weighed by how likely it makes the counts of the others: those of the pattern's type and category in full,
those of its type elsewhere as if they were `BORROWED` patterns at most (a power prior: Ibrahim and Chen, 2000).
The pattern itself is left out: no outcome counts twice.

Outcomes weigh by age, as in all that is expected: what worked once teaches as little as it counts.

Two priors come of it. What is expected is computed under the Beta with the mean and variance of a rate under all
pairs by weight; where the type says little, all types are borrowed from too. What is certain is computed under
the most cautious of the pairs that the others leave open (`OPEN`; robust Bayes: Berger, Statistical Decision
Theory, 2nd ed., section 4.7): the three of three that looks best among many is mostly luck, and until others are
known nobody can say how much. Other types say nothing certain, since a new type may be the one where most fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, betaln

from keeper_grpc.domain.evidence.evidence import CAUTIOUS, LOWER_QUANTILE, Prior
from keeper_grpc.domain.evidence.spreads import UNKNOWN, Spreads

BORROWED = 5
"""Patterns that all the others of a type, or of all types, count as beside those of the kind itself."""

STRENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Pseudo-trials that a prior may be worth. The largest bounds what other patterns' outcomes, however many
and however alike, weigh against the pattern's own."""

OPEN = 2.0
"""Pairs whose log likelihood is within this of the likeliest are left open: about 19 in 20 of what may be."""

_MEANS = (np.arange(20) + 0.5) / 20
_SUCCESSES = np.outer(_MEANS, STRENGTHS).ravel()
_FAILURES = np.outer(1 - _MEANS, STRENGTHS).ravel()

_IMAGINED = np.log(4 * np.outer(_MEANS * (1 - _MEANS), np.ones(len(STRENGTHS))).ravel()) - 0.5 * (
    np.log(_SUCCESSES + _FAILURES)
)
"""What limits caution while little is known: one success and one failure that are imagined of each type, and
that strong beliefs are less likely. Without it the most cautious pair would promise nothing of anything."""

_PROMISED = betaincinv(_SUCCESSES + 8, _FAILURES + 2, LOWER_QUANTILE)
"""What each pair promises of 8 successes in 10: pairs are the more cautious the less it is."""

_Likelihoods: TypeAlias = NDArray[np.float64]
"""Log likelihoods of the grid's pairs, `(pairs,)`."""


class Source(Enum):
    """Where a prior comes from."""

    CATEGORY = "category"
    TYPE = "type"
    NETWORK = "network"
    DEFAULT = "default"
    AUTHOR = "author"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What one published pattern teaches: its type, its category, and its evidence as it is shown."""

    pattern_type: str
    business_category: str
    trials: float
    successes: float


@dataclass(frozen=True, slots=True)
class LearnedPrior:
    """A prior for what is expected, where it comes from, of how many patterns, and one for what is certain.

    `spreads` are how much the facts of a situation matter to the type.
    """

    prior: Prior
    source: Source
    patterns: int
    cautious: Prior = CAUTIOUS
    spreads: Spreads = field(default_factory=dict, hash=False)


DEFAULT_PRIOR = LearnedPrior(Prior(), Source.DEFAULT, 0)

EVERY = ""
"""In place of a type or a category: all of them."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Patterns, and the log likelihoods of their outcomes together."""

    patterns: int
    likelihoods: _Likelihoods

    def __sub__(self, part: _Group) -> _Group:
        return _Group(self.patterns - part.patterns, self.likelihoods - part.likelihoods)

    def __add__(self, other: _Group) -> _Group:
        return _Group(self.patterns + other.patterns, self.likelihoods + other.likelihoods)

    @property
    def borrowed(self) -> _Likelihoods:
        """As if they were `BORROWED` patterns at most."""
        return self.likelihoods * min(1.0, BORROWED / max(self.patterns, 1))


_NOBODY = _Group(0, np.zeros(len(_SUCCESSES)))


class Priors:
    """What the published patterns say about the rates of others."""

    def __init__(self, published: Iterable[Outcomes]) -> None:
        self._groups: dict[tuple[str, str], _Group] = {}
        for outcomes in published:
            alone = _alone(outcomes.trials, outcomes.successes)
            for key in _keys(outcomes.pattern_type, outcomes.business_category):
                self._groups[key] = self._groups.get(key, _NOBODY) + alone

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """The types and categories of published patterns, each type in `EVERY` category, and `EVERY` type."""
        return sorted(self._groups)

    def of(
        self, pattern_type: str, business_category: str, besides: Outcomes | None = None
    ) -> LearnedPrior:
        """The priors of a pattern of this type and category, either of which may be `EVERY`: one that is new.

        `besides` are the pattern's own outcomes, if they are among the published ones.
        """
        own = _NOBODY if besides is None else _alone(besides.trials, besides.successes)
        kind, whole_type, network = (
            self._groups[key] - own if new != EVERY and key in self._groups else _NOBODY
            for new, key in zip(
                (business_category, pattern_type, None),
                _keys(pattern_type, business_category),
                strict=True,
            )
        )
        known = kind.likelihoods + (whole_type - kind).borrowed
        likely = known + (network - whole_type).borrowed
        for group, source in (
            (kind, Source.CATEGORY),
            (whole_type, Source.TYPE),
            (network, Source.NETWORK),
        ):
            if group.patterns:
                return LearnedPrior(_fit(likely), source, group.patterns, _most_cautious(known))
        return DEFAULT_PRIOR


def _keys(pattern_type: str, business_category: str) -> tuple[tuple[str, str], ...]:
    """The kind, its type in every category, and everything."""
    return (pattern_type, business_category), (pattern_type, EVERY), (EVERY, EVERY)


@lru_cache(maxsize=4096)
def _alone(trials: float, successes: float) -> _Group:
    """One pattern of so many successes in so many trials, whose rate is a draw from each pair's Beta."""
    likelihoods = betaln(_SUCCESSES + successes, _FAILURES + trials - successes)
    return _Group(1, likelihoods - betaln(_SUCCESSES, _FAILURES))


def _fit(likelihoods: _Likelihoods) -> Prior:
    """The Beta with the mean and the variance of a rate under all pairs, weighed by likelihood."""
    weights = np.exp(likelihoods - likelihoods.max())
    weights /= weights.sum()
    strengths = _SUCCESSES + _FAILURES
    means = _SUCCESSES / strengths
    mean = float(weights @ means)
    squares = float(weights @ (means * (1 - means) / (strengths + 1) + means**2))
    strength = mean * (1 - mean) / (squares - mean**2) - 1
    return Prior(_shown(mean * strength), _shown((1 - mean) * strength))


def _shown(weight: float) -> float:
    """In two digits: priors are shown, and more would tell the counts of the patterns they come from."""
    return float(f"{weight:.1e}")


def _most_cautious(likelihoods: _Likelihoods) -> Prior:
    """The pair that promises least, of those that the others leave open."""
    plausible = likelihoods + _IMAGINED
    promised = np.where(plausible >= plausible.max() - OPEN, _PROMISED, 1.0)
    pair = int(promised.argmin())
    return Prior(round(float(_SUCCESSES[pair]), 6), round(float(_FAILURES[pair]), 6))


@dataclass(frozen=True, slots=True)
class Judged:
    """A pattern whose evidence is weighed, and the prior that it has.

    `outcomes` are those that are counted, `recent` the same as their ages weigh them: what teaches the others.
    """

    pattern_id: UUID
    outcomes: Outcomes
    published: bool
    current: LearnedPrior
    recent: Outcomes


@dataclass(frozen=True, slots=True)
class Assigned:
    """The priors that a pattern gets, and the outcomes that it had then."""

    pattern_id: UUID
    outcomes: Outcomes
    learned: LearnedPrior


LearnedPriors: TypeAlias = Mapping[tuple[str, str], LearnedPrior]
"""By type and category, of which each may be `EVERY`."""

SAME = 0.01
"""Relative difference below which a prior stays: it moves no bound by a tenth of a point, and a write of
every pattern at every turn would be for nothing."""

SAME_SPREAD = 0.05
"""Difference of a fact's variance below which it stays, in log odds squared."""


def learn(
    judged: Sequence[Judged], spreads: Mapping[str, Spreads] = MappingProxyType({})
) -> tuple[list[Assigned], LearnedPriors]:
    """The priors that change, and those of patterns that are yet to come. `spreads` are learned by type.

    Patterns that are not published teach nothing: a prior is shown, and must not tell of them. What an author
    expects stays, though the outcomes of the pattern teach the others; what is certain of it is nobody's claim.
    """
    priors = Priors(pattern.recent for pattern in judged if pattern.published)
    known: dict[tuple[Outcomes, bool], LearnedPrior] = {}
    assigned = []
    for pattern in judged:
        case = (
            pattern.recent if pattern.published else _without(pattern.recent),
            pattern.published,
        )
        if case not in known:
            known[case] = priors.of(
                pattern.outcomes.pattern_type,
                pattern.outcomes.business_category,
                pattern.recent if pattern.published else None,
            )
        learned = known[case]
        if pattern.current.source is Source.AUTHOR:
            learned = replace(pattern.current, cautious=learned.cautious)
        learned = replace(learned, spreads=spreads.get(pattern.outcomes.pattern_type, UNKNOWN))
        if not _same(learned, pattern.current):
            assigned.append(Assigned(pattern.pattern_id, pattern.outcomes, learned))
    return assigned, {key: priors.of(*key) for key in priors.kinds}


def _without(outcomes: Outcomes) -> Outcomes:
    """The kind alone: what the outcomes of an unpublished pattern were makes no difference."""
    return replace(outcomes, trials=0.0, successes=0.0)


def _same(one: LearnedPrior, other: LearnedPrior) -> bool:
    if one.spreads.keys() != other.spreads.keys() or any(
        abs(one.spreads[key] - other.spreads[key]) > SAME_SPREAD for key in one.spreads
    ):
        return False
    return one.source is other.source and all(
        abs(a - b) <= SAME * b
        for a, b in (
            (one.prior.successes, other.prior.successes),
            (one.prior.failures, other.prior.failures),
            (one.cautious.successes, other.cautious.successes),
            (one.cautious.failures, other.cautious.failures),
        )
    )
