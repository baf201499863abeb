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
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from scipy.special import bdtrc, betaincinv

from keeper_grpc.domain.evidence.evidence import Share, Shares, weigh

CERTAINTY = 0.95
LOSS_CERTAINTY = 0.8


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
    """One owner's outcomes of a pattern: how many say whether a customer complained or unsubscribed, and how many
    of them did; and the net revenue of those that say what they cost.
    """

    complaint_known: int = 0
    complaints: int = 0
    unsubscribe_known: int = 0
    unsubscribes: int = 0
    costed: int = 0
    net_revenue: float = 0.0

    def after(
        self, complained: bool | None, unsubscribed: bool | None, net_revenue: float | None
    ) -> OwnHarms:
        """With one more outcome: None is what it does not say, for net revenue also without a cost."""
        return OwnHarms(
            self.complaint_known + (complained is not None),
            self.complaints + bool(complained),
            self.unsubscribe_known + (unsubscribed is not None),
            self.unsubscribes + bool(unsubscribed),
            self.costed + (net_revenue is not None),
            self.net_revenue + (net_revenue or 0.0),
        )


def crossed(
    harms: Mapping[str, OwnHarms], shares: Shares, limits: Limits, k: int
) -> tuple[Harm, ...]:
    """The guardrails that a pattern has crossed, from what its owners reported."""
    complaints = [Share(own.complaint_known, own.complaints) for own in harms.values()]
    unsubscribes = [Share(own.unsubscribe_known, own.unsubscribes) for own in harms.values()]
    found = {
        Harm.COMPLAINTS: _above(complaints, limits.complaint_rate, k),
        Harm.UNSUBSCRIBES: _above(unsubscribes, limits.unsubscribe_rate, k),
        Harm.LOSSES: _losing(_net_means(harms, shares, k), k),
    }
    return tuple(harm for harm, harmful in found.items() if harmful)


def _above(shares: Sequence[Share], limit: float, k: int) -> bool:
    """Whether a rate of these owners is above its limit with certainty."""
    if sum(share.successes > 0 for share in shares) < k:
        return False
    evidence = weigh(shares, k)
    least = betaincinv(
        1 + evidence.successes,
        1 / limit - 1 + evidence.trials - evidence.successes,
        1 - CERTAINTY,
    )
    return bool(least > limit)


def _net_means(harms: Mapping[str, OwnHarms], shares: Shares, k: int) -> Sequence[float]:
    """The mean net revenue of each owner that measured it."""
    costed = [own.net_revenue / own.costed for own in harms.values() if own.costed]
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
