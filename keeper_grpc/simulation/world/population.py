"""The accounts, when they join, and which insights they meet: identical in both arms."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from keeper_grpc.simulation.parameters import Parameters, stream
from keeper_grpc.simulation.world.belief import Belief
from keeper_grpc.simulation.world.truth import (
    SITUATIONS,
    Action,
    Situation,
    World,
    actions_for,
    probability,
)
from keeper_grpc.simulation.world.wordings import KINDS, SERVICES, TONES

JOINING = 0.75
"""The part of a stage in which accounts join; the network is measured in the rest."""

CONFIDENCE = (0.45, 0.8)
"""The range of an engine's own confidence, as in examples/history.jsonl."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The days in which the network grows to one size. Days count from the beginning; ends are exclusive."""

    customers: int
    begins: float
    reached: float
    ends: float


@dataclass(frozen=True, slots=True)
class Account:
    """One customer. `effect` is its advantage over the average account, in log-odds."""

    number: int
    category: str
    joined: float
    insights_a_day: float
    effect: float
    tone: str
    known: tuple[Action, ...]

    @property
    def account_id(self) -> str:
        """Its name in the API."""
        return f"simulated-{self.number:04d}"


@dataclass(frozen=True, slots=True)
class Met:
    """An insight that an account met. `luck` decides success, in both arms alike."""

    account: Account
    number: int
    day: float
    situation: Situation
    details: Mapping[str, str | int]
    confidence: float
    follows: bool
    luck: float
    outcome_after: int


def stages(parameters: Parameters) -> list[Stage]:
    """The stages of the story, in order."""
    sizes = sorted(set(parameters.customers))
    length = parameters.days / len(sizes)
    return [
        Stage(size, place * length, (place + JOINING) * length, (place + 1) * length)
        for place, size in enumerate(sizes)
    ]


def population(parameters: Parameters) -> list[Account]:
    """Every account that ever joins, in the order of joining."""
    accounts: list[Account] = []
    categories = _categories(parameters.category_shares)
    for stage in stages(parameters):
        joining, time = stage.customers - len(accounts), stage.reached - stage.begins
        accounts += [
            _account(parameters, len(accounts) + index, next(categories), joined)
            for index, joined in enumerate(
                stage.begins + time * index / joining for index in range(joining)
            )
        ]
    return accounts


def met(parameters: Parameters, account: Account, until: float) -> Iterator[Met]:
    """The account's insights from its joining on, at random times (a Poisson process)."""
    day = account.joined
    for number in itertools.count():
        rng = stream(parameters, f"met {account.number} {number}")
        day += rng.expovariate(account.insights_a_day)
        if day >= until:
            return
        situation = rng.choice(SITUATIONS)
        details = KINDS[situation.kind].details
        yield Met(
            account=account,
            number=number,
            day=day,
            situation=situation,
            details={key: rng.choice(values) for key, values in details.items()}
            | {"service": rng.choice(SERVICES[account.category])},
            confidence=round(rng.uniform(*CONFIDENCE), 2),
            follows=rng.random() < parameters.follow,
            luck=rng.random(),
            outcome_after=rng.randint(*parameters.outcome_after),
        )


def belief(parameters: Parameters, world: World, account: Account) -> Belief:
    """The account's beliefs on the day it joins."""

    @cache
    def hunch(situation: Situation, action: Action) -> float:
        """The account's hunch: correlated with the truth by `parameters.hunch`."""
        usual, quality = parameters.usual_log_odds, parameters.hunch
        truth = world.log_odds(account.category, situation, action, account.joined) - usual
        name = f"hunch {account.number} {situation} {action}"
        guess = parameters.action_spread * stream(parameters, name).gauss()
        return probability(usual + quality * truth + math.sqrt(1 - quality**2) * guess)

    return Belief(account.known, hunch, parameters.hunch_strength)


def _account(parameters: Parameters, number: int, category: str, joined: float) -> Account:
    rng = stream(parameters, f"account {number}")
    shape = parameters.rate_shape
    known = [
        action
        for kind in range(len(KINDS))
        for action in rng.sample(
            actions_for(kind), k=min(parameters.repertoire, len(actions_for(kind)))
        )
    ]
    return Account(
        number=number,
        category=category,
        joined=joined,
        insights_a_day=parameters.insights_a_day * rng.gammavariate(shape, 1 / shape),
        effect=rng.gauss(0, parameters.account_effect),
        tone=rng.choice(sorted(TONES)),
        known=tuple(sorted(known)),
    )


def _categories(shares: Mapping[str, float]) -> Iterator[str]:
    """Each next account joins the category that is farthest behind its share."""
    members: Counter[str] = Counter()
    for joined in itertools.count(1):
        behind = max(shares, key=lambda category: shares[category] * joined - members[category])
        members[behind] += 1
        yield behind
