"""What happened, one insight a row, in either arm."""

from __future__ import annotations

from dataclasses import dataclass

from keeper_grpc.simulation.world.population import Met
from keeper_grpc.simulation.world.truth import Action


@dataclass(frozen=True, slots=True)
class Advice:
    """What the network said. `tone` is the tone of its script, None where it gave none.

    `action` is what whoever follows it does: what the script says where there is one, since that is what
    the guest hears. `meant` is what the pattern is about. `category` is the category that it was learned
    in, `expected` the success rate it promised.
    """

    pattern_id: str
    action: Action
    meant: Action
    tone: str | None
    category: str
    confidence: float
    expected: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The network's answer to one question. Without advice, `reason` says why."""

    enhancement_id: str
    advice: Advice | None
    reason: str
    held_out: bool


@dataclass(frozen=True, slots=True)
class Episode:
    """An insight, what the account did, and what came of it.

    `chance` is the true chance that it had, `own_chance` the one that the account's own idea had; both
    count the account's own effect. `answer` is None without the network. `revenue` may be negative.
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
        """What the network said, if anything."""
        return self.answer.advice if self.answer else None
