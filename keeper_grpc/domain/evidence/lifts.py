"""What a script adds to its pattern, learned from how alike scripts did in other patterns.

Wordings of a pattern differ little, and it takes hundreds of outcomes to tell which is best. But wordings that read
alike may do alike: the same text for a guest and for a member, one tone in two patterns. A script's lift is by how much
it moves its pattern's success rate, in log-odds. Lifts are taken for draws from a Gaussian process (Rasmussen and
Williams, Gaussian Processes for Machine Learning, 2006) over the scripts of a type, of three parts:

- the tone's: shared by scripts that differ from their siblings by the same words, whatever they are about;
- the text's: shared by scripts that are nearly the same text, as one idea is in several lines of business;
- each script's own.

How large each is is learned from all types together, by how likely each combination makes the outcomes; half of the
belief is that nothing is shared. Where tones have no common effect the shared parts go to zero, and lifts are none.

A pattern's own outcomes are left out of its scripts' lifts, but for the sizes, in which it is one of many.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise, product
from math import exp, log, sqrt
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from keeper_grpc.domain.evidence.evidence import Prior

SHARED = (0.0, 0.15, 0.3, 0.45)
"""Standard deviations of what tones and texts share, in log-odds: .25 is about five points of success."""

OWN = (0.05, 0.15, 0.3)
"""Standard deviations of what is each script's own."""

SCALE = 0.2
"""The distance of two texts (1 - cosine) at which what they share as texts is down to a third."""

LEVEL = 1.0
"""Standard deviation of a pattern's own level: wide, so that only differences within a pattern teach."""

FEWEST_PATTERNS = 5
"""Patterns with several scripts below which nothing is learned: what is shared could not be told from luck."""

MOST_SCRIPTS = 300
"""Scripts of a type that are learned from, those with most outcomes: the work grows with the cube of their number."""

_LEAST_VARIANCE = 1e-4

_Matrix: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lift:
    """What a script is expected to add to its pattern's log-odds, and how surely: a standard deviation."""

    mean: float
    deviation: float

    def belief(self, rate: float) -> Prior:
        """What is believed of a script before its outcomes, in a pattern that succeeds at this rate in (0, 1)."""
        odds = rate / (1 - rate) * exp(self.mean)
        moved = odds / (1 + odds)
        strength = max(1 / (self.deviation**2 * moved * (1 - moved)) - 1, 2.0)
        return Prior(moved * strength, (1 - moved) * strength)


@dataclass(frozen=True, slots=True)
class Worded:
    """One published script of a pattern with several, and its outcomes as they are shown."""

    pattern: UUID
    pattern_type: str
    text: str
    trials: int
    successes: int


@lru_cache(maxsize=8192)
def wording(text: str) -> str:
    """The text less what fills it in: scripts that differ in names, masks or marks only are one wording."""
    words = [_SLOT if word[0] in "{[" else word for word in _WORD.findall(text.casefold())]
    while words and words[-1] == _SLOT:
        words.pop()
    first = next((at for at, word in enumerate(words) if word != _SLOT), len(words))
    return " ".join(words[first:])


_WORD = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]|[^\W_]+%?|[!?]")
_SLOT = "{}"


@dataclass(frozen=True, slots=True)
class _Shape:
    """One combination of what may be: how much tones share, how much texts, and how much is a script's own."""

    tone: float
    text: float
    own: float

    @property
    def shares(self) -> bool:
        """Whether anything is shared."""
        return self.tone > 0 or self.text > 0


_SHAPES = [_Shape(*sizes) for sizes in product(SHARED, SHARED, OWN)]

_BELIEF = np.array([-log(len(SHARED) ** 2 - 1) if shape.shares else 0.0 for shape in _SHAPES])
"""Half of it on nothing being shared."""


Lifts: TypeAlias = Mapping[tuple[UUID, str], Lift]
"""By pattern and text of the script."""


@dataclass(frozen=True, slots=True)
class LearnedLifts:
    """The lifts of scripts, and `shared`: the belief that scripts which read alike do alike, in [0, 1]."""

    lifts: Lifts
    shared: float


NOTHING_LEARNED = LearnedLifts({}, 0.0)


def learn_lifts(scripts: Sequence[Worded]) -> LearnedLifts:
    """The lift of every script, from the scripts of other patterns of its type. Scripts of one wording have the same."""
    types: dict[str, list[Worded]] = defaultdict(list)
    for script in _wordings(scripts):
        types[script.pattern_type].append(script)
    groups = [group for known in types.values() if (group := _compared(known))]
    if sum(len({script.pattern for script in group}) for group in groups) < FEWEST_PATTERNS:
        return NOTHING_LEARNED
    studied = [_study(group) for group in groups]
    likely = sum((each.likelihoods for each in studied), np.zeros(len(_SHAPES))) + _BELIEF
    weights = np.exp(likely - likely.max())
    weights /= weights.sum()
    known: dict[tuple[UUID, str], Lift] = {}
    for group, each in zip(groups, studied, strict=True):
        means = weights @ each.means
        variances = weights @ (each.variances + each.means**2) - means**2
        for script, mean, variance in zip(group, means, variances, strict=True):
            deviation = sqrt(max(float(variance), _LEAST_VARIANCE))
            # In two decimals: no outcome is read from them, and what hardly moves is not written again.
            lift = Lift(round(float(mean), 2) + 0.0, max(round(deviation, 2), 0.01))
            known[script.pattern, script.text] = lift
    lifts = {
        (script.pattern, script.text): known[script.pattern, wording(script.text)]
        for script in scripts
        if (script.pattern, wording(script.text)) in known
    }
    shared = float(weights[[shape.shares for shape in _SHAPES]].sum())
    return LearnedLifts(lifts, shared)


def _wordings(scripts: Sequence[Worded]) -> list[Worded]:
    """The scripts with outcomes, those of one pattern and wording together, in an order of their own."""
    found: dict[tuple[UUID, str], Worded] = {}
    for script in scripts:
        key = script.pattern, wording(script.text)
        before = found.get(key) or replace(script, text=key[1], trials=0, successes=0)
        found[key] = replace(
            before,
            trials=before.trials + script.trials,
            successes=before.successes + script.successes,
        )
    ordered = sorted(found.values(), key=lambda one: (one.pattern, one.text))
    return [script for script in ordered if script.trials > 0]


def _compared(known: Sequence[Worded]) -> list[Worded]:
    """Those with most outcomes, of patterns that have several of them: alone a script has nothing to differ from."""
    most = sorted(known, key=lambda one: (-one.trials, one.pattern, one.text))[:MOST_SCRIPTS]
    several = Counter(script.pattern for script in most)
    return [script for script in most if several[script.pattern] > 1]


@dataclass(frozen=True, slots=True)
class _Studied:
    """One type: by shape, the log likelihood, and each script's mean and variance from the other patterns."""

    likelihoods: _Matrix
    means: _Matrix
    variances: _Matrix


def _study(group: Sequence[Worded]) -> _Studied:
    """How likely each shape is, and what it expects of each script without the script's pattern.

    Outcomes enter by their score: how far a script exceeds its pattern's rate, with the information of a binomial
    count. Lifts are small, so that this is close to the exact likelihood.
    """
    patterns: dict[UUID, int] = {}
    at = np.array([patterns.setdefault(script.pattern, len(patterns)) for script in group])
    trials = np.array([script.trials for script in group], dtype=float)
    successes = np.array([script.successes for script in group], dtype=float)
    rates = ((np.bincount(at, successes) + 1) / (np.bincount(at, trials) + 2))[at]
    information = trials * rates * (1 - rates)
    excess = (successes - trials * rates) / information
    noise = np.diag(1 / information)
    level = LEVEL**2 * (at[:, None] == at[None, :])
    blocks = [np.flatnonzero(at == number) for number in range(len(patterns))]
    texts = _texts([script.text for script in group])
    text = np.exp((texts @ texts.T - 1) / SCALE)
    tones = texts.copy()
    for block in blocks:
        tones[block] -= tones[block].mean(axis=0)
    tones = _unit(tones)
    tone = tones @ tones.T
    likelihoods = np.zeros(len(_SHAPES))
    means, variances = np.zeros((2, len(_SHAPES), len(group)))
    for number, shape in enumerate(_SHAPES):
        known = level + noise + np.eye(len(group)) * shape.own**2
        known += shape.tone**2 * tone + shape.text**2 * text
        precision = np.linalg.inv(known)
        pulled = precision @ excess
        likelihoods[number] = -0.5 * (excess @ pulled) - 0.5 * np.linalg.slogdet(known)[1]
        for block in blocks:
            # Rasmussen and Williams, section 5.4.2, for all scripts of a pattern at once.
            without = np.linalg.inv(precision[np.ix_(block, block)])
            within = np.eye(len(block)) - 1 / len(block)
            spread = without - noise[np.ix_(block, block)] - LEVEL**2
            means[number, block] = within @ (excess[block] - without @ pulled[block])
            variances[number, block] = np.maximum(np.diag(within @ spread @ within), 0.0) * (
                len(block) / (len(block) - 1)
            )
    return _Studied(likelihoods, means, variances)


def _texts(texts: Sequence[str]) -> _Matrix:
    """Unit vectors of the texts' words and pairs of words, of which the frequent ones count by their roots."""
    columns: dict[str, int] = {}
    counted = [
        [(columns.setdefault(word, len(columns)), sqrt(n)) for word, n in _words(text)]
        for text in texts
    ]
    rows = np.zeros((len(texts), max(len(columns), 1)))
    for row, words in zip(rows, counted, strict=True):
        for column, weight in words:
            row[column] = weight
    return _unit(rows)


def _unit(rows: _Matrix) -> _Matrix:
    """The rows at length 1; those of nothing stay nothing."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


@lru_cache(maxsize=8192)
def _words(text: str) -> tuple[tuple[str, int], ...]:
    words = text.split()
    return tuple(Counter([*words, *(" ".join(pair) for pair in pairwise(words))]).items())
