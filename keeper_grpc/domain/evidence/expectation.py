"""How often a pattern may be expected to work in one situation.

A pattern's plain success rate mixes situations. What is known comes from three sources, and no outcome
is in two of them:

1. elsewhere: the prior and the pattern's outcomes outside of the situation. Their posterior mean is where
   the rate starts, with the strength of the prior and at most `STRENGTH` trials more, because other
   situations say only so much about this one;
2. single facts: of those outcomes, how the ones that share a fact with the situation differ from the
   ones that do not. A difference says nothing of the average, so what was counted in the average is not
   counted again. Each is shrunk by what is known of it and of how much such facts matter
   (domain/evidence/spreads.py), and the rate moves by the mean of their log odds, in which facts weigh by how much
   they matter: outcomes may share several facts, and must not count several times for it;
3. here: the situation's own outcomes, in full.

All of them weigh by age: how well something works, in a situation as at all, changes with the years.
What lies outside of the situation, the prior included, weighs `OUTSIDE` trials at most in the rate: the
situation decides as soon as there is something to decide by. Where nothing is known of the situation, the
pattern's posterior over all of them is the expectation. `Basis` says which it was, and which outcomes to show
as its counts.

Parts that the publication rule withholds are left out: an expectation must not tell one account's
outcomes.

The rate is expected under the prior that fits the other patterns best; the lower bound is computed in the same
way under the most cautious one that they leave open (domain/evidence/priors.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from keeper_grpc.domain.evidence.evidence import (
    CAUTIOUS,
    NO_EVIDENCE,
    Evidence,
    Prior,
    Shares,
    heaviest,
    leave_out,
    lower_bound,
    weigh,
)
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.evidence.spreads import UNKNOWN, Spreads, log_odds, noise, spread_of

STRENGTH = 4.0
"""Trials that all other situations are worth, however many there were. Where situations move the log odds
of success by a half, bounds keep their promise with 4 and not with 10; the rates that bench/replay.py
expects come true as well with either (docs/adr/0012)."""

OUTSIDE = 8.0
"""Trials that the prior and all other situations are worth together where the pattern is known from several.
A prior that was learned from many patterns that are alike is worth 32: under it, 16 failures in one situation
would leave the rate above 60%. Against 8, six failures of six take the best record below it."""

DIGITS = 6
"""Of an expected rate."""

FORGOTTEN = 1e-6
"""Trials by age below which a fact's outcomes say nothing."""


@dataclass(frozen=True, slots=True)
class FactEvidence:
    """Outcomes outside of the situation, those that share a fact with it and those that do not.

    `key` is the condition whose value the fact is.
    """

    shared: Evidence
    others: Evidence
    key: str = ""

    @property
    def tells(self) -> bool:
        """Whether neither side is too old to say anything."""
        return min(self.shared.recent[0], self.others.recent[0]) > FORGOTTEN


@dataclass(frozen=True, slots=True)
class SituationEvidence:
    """A pattern's outcomes cut at the situation of a question; `situate` makes it.

    `here` are those of just this situation, `elsewhere` the other ones.
    """

    here: Evidence = NO_EVIDENCE
    elsewhere: Evidence = NO_EVIDENCE
    facts: tuple[FactEvidence, ...] = ()

    @property
    def is_all(self) -> bool:
        """Whether nothing is known of other situations, so that this one is the pattern."""
        return not self.elsewhere.trials and not self.facts


NOWHERE = SituationEvidence()
"""No evidence about a situation: the pattern's own rate is all there is."""


def situate(
    pattern: Shares, here: Shares, facts: Mapping[str, Shares], rule: PublicationRule
) -> SituationEvidence:
    """Cut a pattern's outcomes at a situation.

    `here` are the owners' outcomes in it as a whole, `facts` those that share one fact with it, by its condition's
    key, which include those of `here`. No owner weighs more in a part than in the whole. A situation that may not
    be shown is not told apart from elsewhere.
    """
    most = heaviest([share.trials for share in pattern.values()], rule.k)
    own = weigh(here.values(), rule.k, most)
    if rule.withheld(own):
        here, own = {}, NO_EVIDENCE
    rest = leave_out(pattern, here)
    elsewhere = weigh(rest.values(), rule.k, most)
    cut = []
    for key, fact in facts.items():
        shared = leave_out(fact, here)
        others = leave_out(rest, shared)
        contrast = FactEvidence(
            weigh(shared.values(), rule.k, most), weigh(others.values(), rule.k, most), key
        )
        if contrast.tells and not (
            rule.withheld(contrast.shared) or rule.withheld(contrast.others)
        ):
            cut.append(contrast)
    if not own.trials and not cut:
        return NOWHERE
    # Outcomes of too few owners are no basis, even for an average.
    return SituationEvidence(
        own, NO_EVIDENCE if rule.withheld(elsewhere) else elsewhere, tuple(cut)
    )


class Basis(Enum):
    """What an expected rate was made of."""

    SITUATION = "situation"
    """Outcomes in just this situation outweigh everything else."""
    ADJUSTED = "adjusted"
    """All outcomes of the pattern, moved by what is known of parts of the situation, or by a few in it."""
    PATTERN = "pattern"
    """All outcomes of the pattern: too few owners know anything of the situation."""


@dataclass(frozen=True)
class Expectation:
    """What is believed of the success rate in one situation, and what is `certain` of it.

    `counted` are the outcomes that the rate was made of, by its `basis`: what is shown as a count beside it. Rate and
    bound are kept: each question that meets the pattern in the situation asks for them several times.
    """

    believed: Prior
    certain: float
    basis: Basis
    counted: Evidence

    @cached_property
    def rate(self) -> float:
        """The posterior mean.

        In a few digits: evidence grows old by the millisecond, by which 3 of 6 must not fall below a half.
        """
        return round(self.believed.mean, DIGITS)

    @property
    def deviation(self) -> float:
        """The posterior's standard deviation."""
        weight = self.believed.successes + self.believed.failures
        return math.sqrt(self.rate * (1 - self.rate) / (weight + 1))

    @cached_property
    def lower_bound(self) -> float:
        """The rate that is exceeded with 95% certainty; never more than what is expected."""
        return min(self.certain, self.rate)

    @cached_property
    def upper_bound(self) -> float:
        """The rate that is not exceeded with 95% certainty."""
        return self.believed.high


def expect(
    evidence: Evidence,
    prior: Prior,
    situation: SituationEvidence = NOWHERE,
    cautious: Prior = CAUTIOUS,
    spreads: Spreads = UNKNOWN,
) -> Expectation:
    """The expectation for one situation. `spreads` are how much facts matter to the pattern's type.

    Without evidence about the situation it is the pattern's own posterior, in full strength.
    """
    if situation == NOWHERE:
        trials, successes = evidence.recent
        return Expectation(
            prior.after(trials, successes),
            lower_bound(trials, successes, cautious),
            Basis.PATTERN,
            evidence,
        )
    here = situation.here
    if situation.is_all:
        certain = lower_bound(*here.recent, cautious)
        return Expectation(_here(prior, situation, spreads), certain, Basis.SITUATION, here)
    # Nobody knows how much this situation is like the others, so the worse of both is taken.
    certain = min(_here(cautious, situation, spreads, most).low for most in (STRENGTH, math.inf))
    decides = 0 < here.recent[0] >= _outside(prior, situation, OUTSIDE)
    return Expectation(
        _here(prior, situation, spreads, OUTSIDE),
        certain,
        Basis.SITUATION if decides else Basis.ADJUSTED,
        here if decides else evidence,
    )


def _here(
    prior: Prior, situation: SituationEvidence, spreads: Spreads, most: float = math.inf
) -> Prior:
    """What is believed of the situation's rate, from a prior of the pattern's.

    The other situations and the prior are together worth `most` trials.
    """
    # The rate is the pattern's posterior mean; how sure it is of this situation is another matter.
    average = prior.after(*situation.elsewhere.recent).mean
    strength = _outside(prior, situation, most)
    parent = _moved(average, situation.facts, spreads)
    return Prior(strength * parent, strength * (1 - parent)).after(*situation.here.recent)


def _outside(prior: Prior, situation: SituationEvidence, most: float) -> float:
    """Trials that the prior and the other situations are worth."""
    trials, _ = situation.elsewhere.recent
    weight = prior.successes + prior.failures
    return min(weight + trials * STRENGTH / (trials + STRENGTH), most)


def _moved(rate: float, facts: Sequence[FactEvidence], spreads: Spreads) -> float:
    """The rate, moved by what is known of each fact's effect.

    The average holds a fact's share of its effect already, so it is moved by the rest.
    """
    moves = weight = 0.0
    for fact in facts:
        spread = spread_of(fact.key, spreads)
        shared, others = fact.shared.recent, fact.others.recent
        effect = log_odds(*shared) - log_odds(*others)
        part = shared[0] / (shared[0] + others[0])
        moves += spread * (1 - part) * effect * spread / (spread + noise(shared, others))
        weight += spread
    if weight <= 0:
        return rate
    odds = math.log(rate / (1 - rate)) + moves / weight
    return 1 / (1 + math.exp(-odds))
