"""An account's beliefs about its options: a hunch, updated by its own outcomes.

The account chooses by Thompson sampling (Thompson, 1933), which is nearly optimal. Accounts without
the network learn in the same way, so that the network is not compared with people who never learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from keeper_grpc.simulation.world.truth import Action, Situation

Hunch = Callable[[Situation, Action], float]
"""The success rate that an account expects of an action it has not tried."""


class Belief:
    """One account's beliefs. `known` are the actions that occur to it; `strength` is in trials."""

    def __init__(self, known: Iterable[Action], hunch: Hunch, strength: float) -> None:
        self._known = set(known)
        self._hunch = hunch
        self._strength = strength
        self._seen: dict[tuple[Situation, Action], tuple[int, int]] = {}

    def choose(self, situation: Situation, rng: Random) -> Action:
        """The account's own choice of action."""
        options = sorted(action for action in self._known if action.kind == situation.kind)
        drawn = [rng.betavariate(*self._posterior(situation, option)) for option in options]
        return options[drawn.index(max(drawn))]

    def learn(self, situation: Situation, action: Action, *, success: bool) -> None:
        """Count an outcome. An action that was new to the account is known from now on."""
        self._known.add(action)
        successes, failures = self._seen.get((situation, action), (0, 0))
        self._seen[situation, action] = (successes + success, failures + (not success))

    def _posterior(self, situation: Situation, action: Action) -> tuple[float, float]:
        successes, failures = self._seen.get((situation, action), (0, 0))
        hunch = self._hunch(situation, action)
        return self._strength * hunch + successes, self._strength * (1 - hunch) + failures
