"""Episodes: one insight each, with its action and outcome, in either arm."""

from __future__ import annotations

from dataclasses import dataclass

from keeper_grpc.simulation.world.population import Met
from keeper_grpc.simulation.world.truth import Action


@dataclass(frozen=True, slots=True)
class Advice:
    """The network's advice. `tone` is the tone of its script, None without a script.

    `action` is what an account that follows the advice does: the script's action where there is one,
    because the guest hears the script. `meant` is the pattern's action. `category` is the category
    the pattern was learned in, `expected` its expected success rate. Of `authored` advice, which nobody has
    tested, that is the author's claim.
    """

    pattern_id: str
    action: Action
    meant: Action
    tone: str | None
    category: str
    confidence: float
    expected: float
    authored: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The network's answer to one question. Without advice, `reason` is the no-match reason."""

    enhancement_id: str
    advice: Advice | None
    reason: str
    held_out: bool


@dataclass(frozen=True, slots=True)
class Episode:
    """An insight, the account's action, and its outcome.

    `chance` is the true chance of the action taken, `own_chance` that of the account's own idea; both
    include the account's own effect. `answer` is None without the network. `revenue`, before `cost`, may be
    negative.
    """

    met: Met
    action: Action
    tone: str
    followed: bool
    chance: float
    own_chance: float
    success: bool
    revenue: float
    retained: bool
    answer: Answer | None = None
    cost: float = 0.0

    @property
    def asked_day(self) -> int:
        """The day of the insight."""
        return int(self.met.day)

    @property
    def known_day(self) -> int:
        """The day on which its outcome is known."""
        return self.asked_day + self.met.outcome_after

    @property
    def advice(self) -> Advice | None:
        """The network's advice, if it gave any."""
        return self.answer.advice if self.answer else None

    @property
    def proven(self) -> Advice | None:
        """The network's advice, if it was proven."""
        return None if self.advice is None or self.advice.authored else self.advice
