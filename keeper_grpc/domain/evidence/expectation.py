"""How often a pattern may be expected to work in one situation.

A pattern's plain success rate mixes situations. Three levels of evidence are combined, each the prior
of the next, so that little evidence at one level falls back to the level above (empirical Bayes
shrinkage; Efron and Morris, 1975):

1. the pattern: its posterior mean, over all situations;
2. single facts: the pattern's odds, times for each fact the odds ratio of the outcomes with that fact
   (naive Bayes, which takes facts for independent);
3. the whole situation: its own outcomes, with level 2 as a prior worth `STRENGTH` trials.

Level 3 corrects what level 2 gets wrong as soon as there is evidence for it. Facets that the
publication rule withholds are left out: an expectation must not tell one account's outcomes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import betaincinv

from keeper_grpc.domain.evidence.evidence import LOWER_QUANTILE, Evidence, Prior
from keeper_grpc.domain.evidence.publication import PublicationRule

STRENGTH = 10.0
"""Trials that the level above is worth. On bench/replay.py's data 10 calibrates better than 20: the
worst decile is off by 2.6 points instead of 5.5 (docs/adr/0010)."""


@dataclass(frozen=True, slots=True)
class SituationEvidence:
    """A pattern's outcomes in the situation of a question: as a whole, and by each of its facts."""

    whole: Evidence
    facts: tuple[Evidence, ...] = ()


NOWHERE = SituationEvidence(Evidence())
"""No evidence about a situation: the pattern's own rate is all there is."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """A Beta posterior of the success rate in one situation."""

    successes: float
    failures: float

    @property
    def rate(self) -> float:
        """The posterior mean."""
        return self.successes / (self.successes + self.failures)

    @property
    def lower_bound(self) -> float:
        """The rate that is exceeded with 95% probability."""
        return float(betaincinv(self.successes, self.failures, LOWER_QUANTILE))


def expect(
    evidence: Evidence, prior: Prior, situation: SituationEvidence, rule: PublicationRule
) -> Expectation:
    """The expectation for one situation.

    Without evidence about the situation it is the pattern's own posterior, in full strength.
    """
    trials, successes = evidence.weighted(rule.k)
    whole = situation.whole if not rule.withheld(situation.whole) else Evidence()
    facts = [fact for fact in situation.facts if not rule.withheld(fact)]
    if not whole.trials and not facts:
        return Expectation(prior.successes + successes, prior.failures + trials - successes)
    base = (prior.successes + successes) / (prior.successes + prior.failures + trials)
    parent = _by_facts(base, facts)
    whole_trials, whole_successes = whole.weighted(rule.k)
    return Expectation(
        STRENGTH * parent + whole_successes,
        STRENGTH * (1 - parent) + whole_trials - whole_successes,
    )


def _by_facts(base: float, facts: Sequence[Evidence]) -> float:
    """The base rate, moved by each fact's odds ratio; each fact's rate is shrunk towards the base."""
    odds = _log_odds(base)
    for fact in facts:
        rate = (fact.successes + STRENGTH * base) / (fact.trials + STRENGTH)
        odds += _log_odds(rate) - _log_odds(base)
    return 1 / (1 + math.exp(-odds))


def _log_odds(rate: float) -> float:
    return math.log(rate / (1 - rate))
