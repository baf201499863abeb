"""What the network is worth to one account: what it was told, what that brought, what it gave, how peers fare.

An account's own doings are told as they are. What it is told of others keeps the rules of every report: no number
is of too few owners, and numbers move in steps, so that no poll tells what one owner did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from statistics import quantiles

from keeper_grpc.domain.metrics.experiment import Experiment, OwnerOutcomes, experiment
from keeper_grpc.domain.metrics.formulas import ENOUGH
from keeper_grpc.domain.metrics.uplift import EMPTY, Arm

LEAST_PEERS = 10
"""Owners that quartiles need: of fewer, each quartile would be one owner's rate or the mean of two."""

STEP = 5
"""Counts of other owners are rounded down to a multiple of it: a poll tells of five new ones, never of one."""

RATE_STEPS = 20
"""Peers' rates count in steps of five points: a quartile is often one owner's rate."""


class PeerMeasure(Enum):
    """What is compared with peers."""

    SUCCESS_RATE = "success_rate"
    ADVISED_SUCCESS_RATE = "advised_success_rate"
    ADOPTION_RATE = "adoption_rate"


@dataclass(frozen=True, slots=True)
class OwnAdvice:
    """What an account was told within the window, and what it did with it; `followed` are reported outcomes of advice
    that was followed, `revenue` the net revenue of the `revenue_count` of these that measured it.
    """

    questions: int = 0
    advised: int = 0
    shown: int = 0
    accepted: int = 0
    dismissed: int = 0
    done: int = 0
    followed: Arm = EMPTY
    revenue: float = 0.0
    revenue_count: int = 0


@dataclass(frozen=True, slots=True)
class QuestionOutcomes:
    """One question's outcomes in the arm that chance gave it to; `question` is a digest of what was asked."""

    question: str
    holdout_share: float
    advised: Arm
    held_out: Arm


@dataclass(frozen=True, slots=True)
class Given:
    """What an account gave: its outcomes within the window, the published patterns that it has evidence in and others
    support without it, and how many other owners these advised after it had contributed.
    """

    observations: int = 0
    shared_patterns: int = 0
    helped_owners: int = 0


@dataclass(frozen=True, slots=True)
class GatheredValue:
    """The inputs: of one account, and of the owners of its line of business but its own.

    `active`: the account has ever asked or observed anything. `peers` are each owner's trials and successes, by
    measure; `own` are the account's.
    """

    active: bool = False
    advice: OwnAdvice = OwnAdvice()
    outcomes: Sequence[QuestionOutcomes] = ()
    given: Given = Given()
    own: Mapping[PeerMeasure, Arm] = field(default_factory=dict)
    peers: Mapping[PeerMeasure, Sequence[Arm]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quartiles:
    """A measure of the peers. `own` is the account's, `owners` how many are compared at least."""

    measure: PeerMeasure
    own: Arm
    lower: float
    median: float
    upper: float
    owners: int


@dataclass(frozen=True, slots=True)
class AccountValue:
    """The answer. The experiment is None before an outcome in each arm counts."""

    as_of: datetime
    window_start: datetime
    advice: OwnAdvice
    experiment: Experiment | None
    questions: int
    given: Given
    quartiles: Sequence[Quartiles]


def account_value(
    gathered: GatheredValue, k: int, as_of: datetime, start: datetime
) -> AccountValue:
    """What is told of what was gathered."""
    given = gathered.given
    compared = _compared(gathered.outcomes)
    return AccountValue(
        as_of=as_of,
        window_start=start,
        advice=gathered.advice,
        experiment=compared,
        questions=compared.owners if compared else 0,
        given=Given(given.observations, given.shared_patterns, _in_steps(given.helped_owners, k)),
        quartiles=[
            found
            for measure in PeerMeasure
            if (
                found := _quartiles(
                    measure, gathered.own.get(measure, EMPTY), gathered.peers.get(measure, ()), k
                )
            )
        ]
        if gathered.active
        else [],
    )


def _compared(outcomes: Sequence[QuestionOutcomes]) -> Experiment | None:
    """The account's own experiment: the network's, with questions for owners, because chance decides by question."""
    found = experiment(
        [
            OwnerOutcomes(each.question, "", each.holdout_share, each.advised, each.held_out)
            for each in outcomes
        ]
    )
    return None if found.difference is None else found


def _quartiles(measure: PeerMeasure, own: Arm, peers: Sequence[Arm], k: int) -> Quartiles | None:
    """None where too few owners have enough of their own."""
    rates = [round(arm.rate * RATE_STEPS) for arm in peers if arm.trials >= ENOUGH]
    if len(rates) < max(LEAST_PEERS, k):
        return None
    lower, median, upper = (
        round(cut) / RATE_STEPS for cut in quantiles(rates, n=4, method="inclusive")
    )
    return Quartiles(measure, own, lower, median, upper, _in_steps(len(rates), k))


def _in_steps(owners: int, k: int) -> int:
    """Rounded down to a multiple of a step, or of k where that is more."""
    step = max(STEP, k)
    return owners // step * step
