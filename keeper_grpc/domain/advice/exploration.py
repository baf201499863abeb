"""Which pattern and which wording are handed out: the best known, or at times another to learn about it.

Always handing out the best known would never find out that another is better. For a share of the questions the
choice is drawn by top-two Thompson sampling (Russo, 2020): every option has the chance of being the best that its
Beta posterior gives it, and half of the draws go to the best of the others. Plain Thompson sampling would soon draw
the leader almost always; what is unknown is whether the runner-up is better, and that costs the least to find out.

The surer the best known is, the less is drawn. And what is given up is bounded for each question: the share is cut
until the success that is expected to be lost, by what is known now, is no more than `most_loss`.

The chance that the choice had is its propensity, which is recorded: outcomes divided by it are comparable, however
they were handed out (domain/evidence/off_policy.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from random import Random

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from keeper_grpc.domain.advice.ranking import Scored
from keeper_grpc.domain.evidence.evidence import NO_EVIDENCE, Prior
from keeper_grpc.domain.evidence.lifts import wording
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import Pattern, Script

NODES = 64
"""Points at which `chances` integrates. The integrand is monotone in [0, 1], so the midpoint rule
errs by less than 1 / (2 * NODES)."""

_LEVELS = (np.arange(NODES) + 0.5) / NODES
_LEVELS_AND_ENDS = np.concatenate([[0.0], _LEVELS, [1.0]])

MOST_OPTIONS = 4
"""Options that a choice is made of: what it takes to compute their chances grows with their square."""

HOPELESS = 0.02
"""Chance below which an option is not drawn: it would cost more than it shows, and each of its outcomes would
weigh as fifty."""

MOST_KEPT = 20_000
"""Results that are kept, some megabytes: the same options come up again and again."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """How much is explored: shares of the questions, and the success that one may cost at most by expectation."""

    script_share: float
    pattern_share: float
    most_loss: float


NO_EXPLORATION = Exploration(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Option:
    """Something that may be handed out: its Beta posterior, and what a success of it is worth beside others'.

    `transfer` is the part of its success rate that is expected of the asking account.
    """

    successes: float
    failures: float
    worth: float = 1.0
    transfer: float = 1.0

    @property
    def mean(self) -> float:
        """The success rate that is expected."""
        return self.transfer * self.successes / (self.successes + self.failures)

    @property
    def best_case(self) -> float:
        """What it may be worth."""
        return self.worth * _at_most(self.successes, self.failures)


@lru_cache(MOST_KEPT)
def _at_most(successes: float, failures: float) -> float:
    """The success rate up to which something may be as good. Kept: it is the same for every question about it."""
    return Prior(successes, failures).high


@dataclass(frozen=True, slots=True)
class Draw:
    """How a choice is made: the chance of each option, and the success that is expected to be lost by it.

    The loss is negative where another option is expected to succeed more often than the usual one, which goes
    by what is certain.
    """

    propensities: Sequence[float]
    expected_loss: float

    def choose(self, rng: Random) -> int:
        """The place of the option that is drawn. Nothing is drawn from `rng` where there is no choice."""
        if max(self.propensities) >= 1:
            return self.propensities.index(max(self.propensities))
        return rng.choices(range(len(self.propensities)), self.propensities)[0]


@dataclass(frozen=True, slots=True)
class ChosenScript:
    """The script that is handed out, empty where there is none, and the chance it had of being it."""

    template: str
    propensity: float
    expected_loss: float = 0.0


@dataclass(frozen=True, slots=True)
class ChosenPattern:
    """The pattern that is advised, the chance it had of being it, and all that could have been.

    `contenders` are the options with their chances, the usual one first; none where there was no choice.
    """

    best: Scored
    propensity: float
    expected_loss: float = 0.0
    contenders: Sequence[tuple[Scored, float]] = ()


def randomness(account_key: str, rendered: str, day: date) -> Random:
    """The source of one question's draws.

    The same for an account that asks the same on the same day, so that a retry gets the same answer and a
    story that is played twice ends the same.
    """
    said = f"explore\0{account_key}\0{rendered}\0{day.isoformat()}"
    digest = hashlib.blake2b(said.encode(), digest_size=8).digest()
    return Random(int.from_bytes(digest))  # noqa: S311 - draws advice, not secrets


def choose_wording(
    pattern: Pattern, rule: PublicationRule, share: float, most_loss: float, rng: Random
) -> ChosenScript:
    """The proven script, or at times one drawn among those that may be shown."""
    proven = pattern.proven_script(rule)
    publishable = pattern.publishable_scripts(rule)
    shown = {script.template: script.evidence for script in publishable}
    learned = pattern.scripts_believed(publishable)
    others = sorted(template for template in shown if template != proven)
    if learned:
        others = _other_wordings(pattern, proven, publishable)
    if share <= 0 or not proven or not others:
        return ChosenScript(proven, 1.0)
    templates = [proven, *others]
    options = []
    for template in templates:
        # An authored wording that too few have tried is worth what its author claims.
        believed = learned.get(template) or pattern.prior.after(
            *shown.get(template, NO_EVIDENCE).recent
        )
        options.append(Option(believed.successes, believed.failures))
    found = explore(options, share, most_loss)
    place = found.choose(rng)
    return ChosenScript(templates[place], found.propensities[place], found.expected_loss)


def _other_wordings(pattern: Pattern, proven: str, shown: Sequence[Script]) -> list[str]:
    """One script for each other wording: of those that differ in masks only, the one that most is certain of."""
    best = sorted(shown, key=lambda script: (-pattern.script_bound(script), script.template))
    found = {wording(script.template): script.template for script in reversed(best)}
    found.pop(wording(proven), None)
    return sorted(found.values())


def choose_pattern(
    fit: Sequence[Scored], share: float, most_loss: float, rng: Random
) -> ChosenPattern:
    """The first of the admissible ones, which are in the order of their scores, or at times one that may be better.

    A contender is one that may be worth as much as what is certain of the first.
    """
    usual = fit[0]
    if share <= 0:
        return ChosenPattern(usual, 1.0)
    least = usual.score
    cases = [_best_case(scored) for scored in fit]
    able = [place for place in range(1, len(fit)) if cases[place] >= least]
    if not able:
        return ChosenPattern(usual, 1.0)
    # As many as `explore` takes.
    able = sorted(able, key=lambda place: (-cases[place], place))[: MOST_OPTIONS - 1]
    places = [0, *sorted(able)]
    found = explore([_option(fit[place]) for place in places], share, most_loss)
    chosen = found.choose(rng)
    return ChosenPattern(
        best=fit[places[chosen]],
        propensity=found.propensities[chosen],
        expected_loss=found.expected_loss,
        contenders=[
            (fit[place], propensity)
            for place, propensity in zip(places, found.propensities, strict=True)
            if propensity > 0
        ],
    )


def explore(options: Sequence[Option], share: float, most_loss: float) -> Draw:
    """How often each option is to be handed out, where the first is the usual one."""
    tried = sorted(range(1, len(options)), key=lambda place: (-options[place].best_case, place))
    places = [0, *tried[: MOST_OPTIONS - 1]]
    best = chances([options[place] for place in places])
    drawn = _hopeful(top_two(best))
    # In full while it is as likely as not that another is better. It never ends: what is known may be of those who
    # chose for themselves.
    share *= min(2 * max(1 - best[0], HOPELESS), 1.0)
    usual = options[0].mean
    losses = [usual - options[place].mean for place in places]
    at_risk = sum(chance * max(loss, 0.0) for chance, loss in zip(drawn, losses, strict=True))
    part = share if at_risk * share <= most_loss else most_loss / at_risk
    propensities = [0.0] * len(options)
    for place, chance in zip(places, drawn, strict=True):
        propensities[place] = part * chance
    propensities[0] += 1 - part
    lost = sum(chance * loss for chance, loss in zip(drawn, losses, strict=True))
    return Draw(propensities, part * lost)


def chances(options: Sequence[Option]) -> Sequence[float]:
    """The chance of each option to be worth the most; they sum to 1.

    Integrated, not sampled: P(i wins) is the integral over u in (0, 1) of the product of the others'
    distribution functions at i's u-quantile. A sampled propensity would add noise to every estimate
    that divides by it.
    """
    return _chances(tuple(options))


@lru_cache(MOST_KEPT)
def _chances(options: tuple[Option, ...]) -> Sequence[float]:
    worths = np.stack([own.worth * _quantiles(own.successes, own.failures) for own in options])
    below = np.ones((len(options), NODES))
    for index, known in enumerate(worths):
        # Between two quantiles a distribution function lies between their levels. Computing it there instead would
        # move no chance by a hundredth, and take ten times as long.
        reached = np.interp(worths[:, 1:-1], known, _LEVELS_AND_ENDS)
        reached[index] = 1.0
        below *= reached
    weights = below.mean(axis=1)
    return tuple((weights / weights.sum()).tolist())


@lru_cache(MOST_KEPT)
def _quantiles(successes: float, failures: float) -> NDArray[np.float64]:
    """The success rates at the levels and at both ends. Kept: a pattern is an option of many questions."""
    inner = betaincinv(successes, failures, _LEVELS)
    return np.concatenate([[0.0], inner, [1.0]])


def top_two(best: Sequence[float]) -> list[float]:
    """How often top-two Thompson sampling draws each option, from their chances of being the best.

    Half of the draws go to an option as often as it is the best, the other half to the best of the others.
    """
    if len(best) == 1:
        return [1.0]
    drawn = [chance / 2 for chance in best]
    for leader, chance in enumerate(best):
        others = sum(best[:leader]) + sum(best[leader + 1 :])
        for place, other in enumerate(best):
            if place != leader:
                share = other / others if others > 0 else 1 / (len(best) - 1)
                drawn[place] += chance / 2 * share
    return drawn


def _hopeful(drawn: Sequence[float]) -> list[float]:
    """The chances without those of hopeless options."""
    kept = [chance if chance >= HOPELESS else 0.0 for chance in drawn]
    return [chance / sum(kept) for chance in kept]


def _option(scored: Scored) -> Option:
    """An admissible pattern, by what is believed of it in the situation and how surely it is about the question."""
    candidate, believed = scored.candidate, scored.expectation.believed
    return Option(believed.successes, believed.failures, _worth(scored), candidate.transfer)


def _best_case(scored: Scored) -> float:
    """That of its option."""
    return _worth(scored) * scored.expectation.upper_bound


def _worth(scored: Scored) -> float:
    candidate = scored.candidate
    return candidate.similarity * candidate.transfer * scored.caution
