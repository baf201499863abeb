"""What the author of a pattern says about it, beside what accounts on this network observed."""

from __future__ import annotations

from dataclasses import dataclass

from keeper_grpc.domain.evidence.evidence import Prior

CLAIM_WEIGHT = 5.0
"""Imagined trials that a claimed success rate counts as in a prior.

Small, because the outcomes behind a claim cannot be checked: five real outcomes weigh as much. Not
smaller, or the order of untried patterns would hardly follow what their authors claim (two trials are
the weight of a uniform prior, which claims nothing).
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """An author's statements. None and an empty text mean that the author states nothing.

    They are shown as claims and counted nowhere as evidence. `success_rate` and `adoption_rate` are
    shares in (0, 1); `reason` says why the author expects it, and `guardrails` what whoever follows the advice must not
    do; `learned_from` is a number of businesses; `monthly_revenue_dollars` is additional
    revenue a month, on average, in US dollars; `rating_improvement` is in stars, on average; results
    become `improvement_factor` times as good within `improvement_days`.
    """

    follow_up_action: str = ""
    success_rate: float | None = None
    learned_from: int | None = None
    monthly_revenue_dollars: float | None = None
    adoption_rate: float | None = None
    rating_improvement: float | None = None
    improvement_factor: float | None = None
    improvement_days: int | None = None
    reason: str = ""
    guardrails: tuple[str, ...] = ()

    def prior(self) -> Prior:
        """The claimed success rate at `CLAIM_WEIGHT`; without one the prior that claims nothing."""
        if self.success_rate is None:
            return Prior()
        successes = self.success_rate * CLAIM_WEIGHT
        return Prior(successes, CLAIM_WEIGHT - successes)

    def statements(self) -> list[str]:
        """The figures as phrases for people, in a fixed order; empty when the author states none."""
        phrases = (
            None if self.success_rate is None else f"{self.success_rate:.0%} success",
            None
            if self.monthly_revenue_dollars is None
            else f"${self.monthly_revenue_dollars:,.0f} more revenue a month on average",
            None if self.adoption_rate is None else f"{self.adoption_rate:.0%} adoption",
            None
            if self.rating_improvement is None
            else f"ratings {self.rating_improvement:g} stars higher on average",
            None
            if self.improvement_factor is None
            else f"results {self.improvement_factor:g} times as good in {self.improvement_days} days",
            None if self.learned_from is None else f"learned from {self.learned_from} businesses",
        )
        return [phrase for phrase in phrases if phrase is not None]

    def sentence(self) -> str:
        """What the author claims, for people: labelled, so that it is not read as this network's evidence."""
        figures = ", ".join(self.statements())
        if self.success_rate is not None:
            return f"{UNTESTED}; its author claims {figures}"
        unstated = f"{UNTESTED}; its author states no success rate"
        return f"{unstated} and claims {figures}" if figures else unstated


UNTESTED = "authored, untested here"
"""The label of what an author says and no evidence of this network bears out."""
