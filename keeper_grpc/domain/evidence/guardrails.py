"""Harm for which a pattern is no longer advised, however often it succeeds.

A discount may win guests and lose money, a message may be answered and bring complaints. Three rates are
watched, each by owner and under the caps of evidence, so that no owner puts a pattern out alone:

complaints, unsubscribes: the share of the outcomes that say so. Crossed when at least k owners reported some
and the rate is above its limit with 95% certainty, for somebody who believes beforehand that it is at it.
losses: the net revenue of the typical owner. Crossed when it is below zero with 80% certainty by the sign test
(Conover, Practical Nonparametric Statistics, 3rd ed., section 3.4), which asks of each owner only whether its
mean is a loss, and leaves out those that neither gained nor lost: no single figure, however large, decides. To stop
good advice for a while costs less than to lose money with bad advice until 95% are certain, which fewer than five
owners can never be.

Where k owners know what the action cost them, their outcomes alone say what it brings: the revenue of the
others is before cost.

Harm ages, more slowly than success (`HARM_HALF_LIFE`), and with what came later rather than with time: outcomes weigh
by how much older they are than the pattern's last one. A pattern that harmed is thus advised again once newer outcomes
outweigh the harm, and never because nobody uses it any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import timedelta
from enum import Enum
from math import fsum

from scipy.special import bdtrc, betaincinv

from keeper_grpc.domain.evidence.evidence import Shares, cut_weights

CERTAINTY = 0.95
LOSS_CERTAINTY = 0.8

HARM_HALF_LIFE = timedelta(days=180)
"""Age at which a reported harm counts half: four times that of a success. A complaint is a rare event, and a limit of
two in a hundred is not crossed with certainty before some dozens of outcomes that say whether there was one: memory
of a month and a half would forget them before they are enough. docs/evidence.md has the figures."""

PRESENT = 0.25
"""Outcomes by age that give an owner a vote on losses: a single one has it for a year, ten for 2.6 years."""


class Harm(Enum):
    """What an action does to those who follow it."""

    COMPLAINTS = "complaints"
    UNSUBSCRIBES = "unsubscribes"
    LOSSES = "losses"


@dataclass(frozen=True, slots=True)
class Limits:
    """The rates above which a pattern is not advised."""

    complaint_rate: float = 0.02
    unsubscribe_rate: float = 0.05


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class OwnHarms:
    """One owner's outcomes of a pattern, weighed by age: how many say whether a customer complained or unsubscribed,
    and how many of them did; and the net revenue of those that say what they cost.

    The weights are `recency_weight`s under `HARM_HALF_LIFE`; `aged` makes them 1 for an outcome of one moment.
    """

    complaint_known: float = 0.0
    complaints: float = 0.0
    unsubscribe_known: float = 0.0
    unsubscribes: float = 0.0
    costed: float = 0.0
    net_revenue: float = 0.0

    def after(
        self,
        complained: bool | None,
        unsubscribed: bool | None,
        net_revenue: float | None,
        weight: float,
    ) -> OwnHarms:
        """With one more outcome: None is what it does not say, for net revenue also without a cost."""
        return OwnHarms(
            self.complaint_known + weight * (complained is not None),
            self.complaints + weight * bool(complained),
            self.unsubscribe_known + weight * (unsubscribed is not None),
            self.unsubscribes + weight * bool(unsubscribed),
            self.costed + weight * (net_revenue is not None),
            self.net_revenue + weight * (net_revenue or 0.0),
        )

    def plus(self, other: OwnHarms) -> OwnHarms:
        """Both together."""
        return OwnHarms(
            *(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True))
        )

    def aged(self, weight: float) -> OwnHarms:
        """The same sums where an outcome of this weight counts one."""
        return OwnHarms(
            self.complaint_known / weight,
            self.complaints / weight,
            self.unsubscribe_known / weight,
            self.unsubscribes / weight,
            self.costed / weight,
            self.net_revenue / weight,
        )


def crossed(
    harms: Mapping[str, OwnHarms], shares: Shares, limits: Limits, k: int
) -> tuple[Harm, ...]:
    """The guardrails that a pattern has crossed, from what its owners reported, aged to its last outcome."""
    complaints = [(own.complaint_known, own.complaints) for own in harms.values()]
    unsubscribes = [(own.unsubscribe_known, own.unsubscribes) for own in harms.values()]
    found = {
        Harm.COMPLAINTS: _above(complaints, limits.complaint_rate, k),
        Harm.UNSUBSCRIBES: _above(unsubscribes, limits.unsubscribe_rate, k),
        Harm.LOSSES: _losing(_net_means(harms, shares, k), k),
    }
    return tuple(harm for harm, harmful in found.items() if harmful)


def _above(owners: Sequence[tuple[float, float]], limit: float, k: int) -> bool:
    """Whether a rate is above its limit with certainty, of what these owners know and what of it was harm."""
    known = [each for each in owners if each[0] > 0]
    if sum(harmed > 0 for _, harmed in known) < k:
        return False
    weights = cut_weights([trials for trials, _ in known], k)
    trials = fsum(weights)
    harmed = fsum(
        weight * min(own / of, 1.0) for weight, (of, own) in zip(weights, known, strict=True)
    )
    least = betaincinv(1 + harmed, 1 / limit - 1 + max(trials - harmed, 0.0), 1 - CERTAINTY)
    return bool(least > limit)


def _net_means(harms: Mapping[str, OwnHarms], shares: Shares, k: int) -> Sequence[float]:
    """The mean net revenue of each owner that measured it, lately where it says what it cost."""
    costed = [own.net_revenue / own.costed for own in harms.values() if own.costed >= PRESENT]
    if len(costed) >= k:
        return costed
    return [
        share.revenue_total / share.revenue_count
        for share in shares.values()
        if share.revenue_count > 0
    ]


def _losing(means: Sequence[float], k: int) -> bool:
    """Whether the typical owner loses: so many losses are too unlikely if it does not."""
    losses = sum(mean < 0 for mean in means)
    owners = losses + sum(mean > 0 for mean in means)
    if owners < k or not losses:
        return False
    by_chance = float(bdtrc(losses - 1, owners, 0.5))
    return by_chance <= 1 - LOSS_CERTAINTY
