"""One account as it acts: identical in both arms, except for the network's advice."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from keeper_grpc.simulation.parameters import Parameters, stream
from keeper_grpc.simulation.play.episodes import Answer, Episode
from keeper_grpc.simulation.world.population import Account, Met, belief, met
from keeper_grpc.simulation.world.truth import Action, World
from keeper_grpc.simulation.world.wordings import KINDS, TONES

EARNINGS = (0.6, 1.6)
LOSSES = (0.0, 0.0, 0.1, 0.25)
"""Shares of the kind's value: what a success earns, and what a failure sometimes costs. The values,
and the share of customers who stay, are those of examples/history.jsonl."""

TRAP_COST = 1.8
"""What a success of a trap costs, as a share of the kind's value: more than a success earns."""

STAYS_AFTER_SUCCESS, STAYS_AFTER_FAILURE = 0.9, 0.3


class Person:
    """An account, its beliefs, and its pending outcomes."""

    def __init__(
        self, parameters: Parameters, world: World, account: Account, until: float
    ) -> None:
        self.account = account
        self._parameters = parameters
        self._world = world
        self._belief = belief(parameters, world, account)
        self._insights = met(parameters, account, until)
        self._next = next(self._insights, None)

    def insights(self, day: int) -> Iterator[Met]:
        """The insights it meets up to the end of this day; each is returned once."""
        while self._next is not None and self._next.day < day + 1:
            yield self._next
            self._next = next(self._insights, None)

    def act(self, insight: Met, answer: Answer | None = None) -> Episode:
        """Follow the advice, if there is any and the account tends to follow, or choose its own action."""
        own, own_tone = self._own_idea(insight)
        advice = answer.advice if answer else None
        followed = advice is not None and insight.follows
        action, tone = own, own_tone
        if advice is not None and followed:
            action, tone = advice.action, advice.tone or own_tone
        chance = self._chance(insight, action, tone)
        success = insight.luck < chance
        revenue, retained = self._consequences(insight, success=success)
        return Episode(
            met=insight,
            action=action,
            tone=tone,
            followed=followed,
            chance=chance,
            own_chance=self._chance(insight, own, own_tone),
            success=success,
            revenue=revenue,
            retained=retained,
            answer=answer,
            cost=self._cost(insight, action) if success else 0.0,
        )

    def learn(self, episode: Episode) -> None:
        """Learn from the outcome."""
        self._belief.learn(episode.met.situation, episode.action, success=episode.success)

    def _own_idea(self, insight: Met) -> tuple[Action, str]:
        rng = stream(self._parameters, f"own {self.account.number} {insight.number}")
        usual = rng.random() < self._parameters.own_tone
        tone = self.account.tone if usual else rng.choice(sorted(TONES))
        return self._belief.choose(insight.situation, rng), tone

    def _chance(self, insight: Met, action: Action, tone: str) -> float:
        account = self.account
        return self._world.success_rate(
            account.category, insight.situation, action, tone, account.effect, day=insight.day
        )

    def _cost(self, insight: Met, action: Action) -> float:
        """What a success cost: of a trap more than it can earn, of any other action nothing."""
        return (
            TRAP_COST * KINDS[insight.situation.kind].value if self._world.is_trap(action) else 0.0
        )

    def _consequences(self, insight: Met, *, success: bool) -> tuple[float, bool]:
        """The revenue, and whether the customer stayed."""
        rng = stream(self._parameters, f"consequences {self.account.number} {insight.number}")
        earned, lost, stays = rng.uniform(*EARNINGS), rng.choice(LOSSES), rng.random()
        value = KINDS[insight.situation.kind].value
        if success:
            return round(value * earned, 2), stays < STAYS_AFTER_SUCCESS
        return round(-value * lost, 2) + 0.0, stays < STAYS_AFTER_FAILURE


def lived(
    parameters: Parameters,
    world: World,
    account: Account,
    until: float,
    answer: Callable[[Met], Answer | None],
) -> list[Episode]:
    """The account's episodes, with these answers to its insights."""
    person = Person(parameters, world, account, until)
    waiting: deque[Episode] = deque()
    episodes: list[Episode] = []
    for day in range(int(account.joined), int(until) + 1):
        for episode in [each for each in waiting if each.known_day == day]:
            person.learn(episode)
            waiting.remove(episode)
        for insight in person.insights(day):
            episode = person.act(insight, answer(insight))
            waiting.append(episode)
            episodes.append(episode)
    return episodes


def alone(parameters: Parameters, world: World, account: Account, until: float) -> list[Episode]:
    """The account's episodes without the network: the same insights and luck, its own ideas only."""
    return lived(parameters, world, account, until, lambda _: None)
