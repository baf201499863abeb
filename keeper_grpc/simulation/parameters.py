"""The parameters of a run. docs/simulation.md gives the reason for each value."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

DAY_ZERO = datetime(2026, 1, 5, tzinfo=UTC)
"""The first day of every story: a fixed Monday, so that nothing depends on today's date."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """One simulated world and its people.

    Effects are standard deviations in log-odds of success; shares are in [0, 1]; times are in days. With a
    `trap_effect`, one idea of each kind gains that much in log-odds, and costs more than it brings.

    `reversals` is the share of the truths, by category and action, that turn around on the day `turn`: what worked in
    70% of the cases works in 30% from then on, in every situation. Day 0 is the first.

    `customers` are the network sizes that are measured; each size gets an equal part of the `days`:
    accounts join for three quarters of it until the size is reached, and the last quarter, without
    joins, is measured.
    """

    customers: tuple[int, ...] = (10, 50, 200)
    days: int = 360
    seed: int = 1

    # The world.
    usual_log_odds: float = -0.4
    idea_effect: float = 0.7
    level_effect: float = 0.4
    situation_effect: float = 0.5
    category_effect: float = 0.4
    tone_effect: float = 0.25
    account_effect: float = 0.3
    trap_effect: float = 0.0
    reversals: float = 0.0
    reversal_day: int | None = None

    # Its people.
    insights_a_day: float = 0.7
    rate_shape: float = 4.0
    follow: float = 0.7
    hunch: float = 0.4
    hunch_strength: float = 3.0
    repertoire: int = 5
    own_tone: float = 0.8
    personal: float = 0.3
    declared: float = 0.8
    outcome_after: tuple[int, int] = (3, 10)

    # The network.
    holdout: float = 0.1
    authored: bool = True
    author: float = 0.7
    category_shares: dict[str, float] = field(
        default_factory=lambda: {"spa": 0.35, "salon": 0.3, "gym": 0.2, "yoga_studio": 0.15}
    )

    @property
    def turn(self) -> int:
        """The day of the reversals. By default two thirds of the story: time to learn before, and to notice after."""
        return self.days * 2 // 3 if self.reversal_day is None else self.reversal_day

    @property
    def action_spread(self) -> float:
        """The standard deviation of actions' log-odds in one category and situation."""
        effects = (
            self.idea_effect,
            self.level_effect,
            self.situation_effect,
            self.category_effect,
        )
        return float(sum(effect**2 for effect in effects) ** 0.5)


def stream(parameters: Parameters, name: str) -> Random:
    """Random numbers for one purpose, the same whatever else is drawn, and on every machine."""
    return Random(f"{parameters.seed}/{name}")  # noqa: S311 - repeatable, not secret
