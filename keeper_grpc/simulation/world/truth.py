"""The truth: the chance of success by action, situation, category and tone.

    log-odds of success = usual + idea + level + situation + category + tone (+ the account's own)

Where a truth turns on a known day, the sum of the first five changes its sign: 70% becomes 30%.

Every effect is drawn once, from the seed and its own name, so that it does not depend on which other
effects were drawn before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from keeper_grpc.simulation.parameters import Parameters, stream
from keeper_grpc.simulation.world.wordings import KINDS, TONES, Idea


@dataclass(frozen=True, slots=True, order=True)
class Action:
    """One possible action for insights of a kind: an idea at one level."""

    kind: int
    idea: int
    level: int

    @property
    def means(self) -> Idea:
        """The idea."""
        return KINDS[self.kind].ideas[self.idea]


@dataclass(frozen=True, slots=True, order=True)
class Situation:
    """One kind of insight under one set of facts."""

    kind: int
    facts: int


SITUATIONS = tuple(
    Situation(kind, facts)
    for kind, known in enumerate(KINDS)
    for facts in range(len(known.situations))
)


@lru_cache
def actions_for(kind: int) -> Sequence[Action]:
    """All possible actions for insights of a kind."""
    return tuple(
        Action(kind, index, level)
        for index, idea in enumerate(KINDS[kind].ideas)
        for level in idea.levels
    )


class World:
    """One world. The same parameters make the same one."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._effects: dict[str, float] = {}

    def log_odds(
        self, category: str, situation: Situation, action: Action, day: float = 0.0
    ) -> float:
        """The log-odds of an average account's success in average words, on a day of the story."""
        p, idea = self._parameters, f"{action.kind}/{action.idea}"
        named = f"{idea}/{action.level}"
        before = (
            p.usual_log_odds
            + self._effect(f"idea {idea}", p.idea_effect)
            + self._effect(f"level {named}", p.level_effect)
            + self._effect(f"situation {situation.facts} {named}", p.situation_effect)
            + self._effect(f"category {category} {named}", p.category_effect)
            + (p.trap_effect if self.is_trap(action) else 0.0)
        )
        return -before if day >= p.turn and self.turns(category, action) else before

    def turns(self, category: str, action: Action) -> bool:
        """Whether this truth turns around on the day of the reversals."""
        share = self._parameters.reversals
        if not share:
            return False
        name = f"turns {category} {action.kind}/{action.idea}/{action.level}"
        return stream(self._parameters, name).random() < share

    def is_trap(self, action: Action) -> bool:
        """Whether it wins guests and loses money."""
        if not self._parameters.trap_effect:
            return False
        ideas = range(len(KINDS[action.kind].ideas))
        return action.idea == stream(self._parameters, f"trap {action.kind}").choice(ideas)

    def tone(self, action: Action, tone: str) -> float:
        """What a tone adds to an idea, in log-odds."""
        name = f"tone {tone} {action.kind}/{action.idea}"
        return self._effect(name, self._parameters.tone_effect)

    def success_rate(
        self,
        category: str,
        situation: Situation,
        action: Action,
        tone: str | None = None,
        account: float = 0.0,
        *,
        day: float = 0.0,
    ) -> float:
        """The chance of success on a day; `account` is the account's own effect. No tone means average words."""
        words = self.tone(action, tone) if tone else 0.0
        return probability(self.log_odds(category, situation, action, day) + words + account)

    def best_action(self, category: str, situation: Situation, day: float = 0.0) -> Action:
        """The action that works most often there on a day."""
        return max(
            actions_for(situation.kind),
            key=lambda action: (self.log_odds(category, situation, action, day), action),
        )

    def best_tone(self, action: Action) -> str:
        """The tone that suits an action best."""
        return max(TONES, key=lambda tone: (self.tone(action, tone), tone))

    def _effect(self, name: str, spread: float) -> float:
        """A standard normal of its own for each name, so that a spread only scales it."""
        if name not in self._effects:
            self._effects[name] = stream(self._parameters, name).gauss()
        return spread * self._effects[name]


def probability(log_odds: float) -> float:
    """The chance with these log-odds."""
    return 1 / (1 + math.exp(-log_odds))
