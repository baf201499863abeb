"""The authors of the simulated trade: a catalog for its situations, written before anybody observed anything.

For each situation an author advises the action that promises most to its judgement, which correlates with the truth
(`Parameters.author`) and knows no category, and claims the rate that it expects. The best of several guesses is luck in
part, so that claims are too high, as claims are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from statistics import fmean

from keeper_grpc.catalog.load import (
    Catalog,
    CatalogClaims,
    CatalogPattern,
    CatalogScript,
    load_catalog,
)
from keeper_grpc.simulation.parameters import Parameters, stream
from keeper_grpc.simulation.play.speech import script, wording
from keeper_grpc.simulation.world.truth import (
    SITUATIONS,
    Action,
    Situation,
    World,
    actions_for,
    probability,
)
from keeper_grpc.simulation.world.wordings import KINDS, TONES

_TRIGGERS = {
    "time_of_day": "visit.time_of_day",
    "membership_tier": "customer.membership_tier",
    "rating": "review.rating",
}
"""The facts of the vocabulary that situations state, by their conditions."""

_UNSTATED = "customer.days_since_visit > customer.avg_frequency * 2"
"""A trigger whose facts no insight of the simulation states in full: conditions decide."""


def written_catalog(parameters: Parameters, world: World) -> Catalog:
    """One pattern for each situation and category, in the category's own nouns."""
    shipped = load_catalog()
    patterns = []
    for situation in SITUATIONS:
        kind = KINDS[situation.kind]
        facts = kind.situations[situation.facts]
        action, claimed = _advised(parameters, world, situation)
        tone = stream(parameters, f"author's tone {situation}").choice(sorted(TONES))
        patterns += [
            CatalogPattern(
                key=f"{kind.type}_{situation.facts}_{category}",
                version=1,
                action_since=1,
                pattern_type=kind.type,
                business_categories=(category,),
                trigger=_trigger(facts),
                conditions=dict(facts),
                action=wording(action, category, 0),
                scripts=(CatalogScript(tone, script(action, category, tone)),),
                follow_up_action=None,
                claims=CatalogClaims(round(claimed, 2)),
                reason="The author's guess.",
                guardrails=(),
            )
            for category in parameters.category_shares
        ]
    return Catalog(
        version=shipped.version, patterns=tuple(patterns), service_names=shipped.service_names
    )


def _advised(parameters: Parameters, world: World, situation: Situation) -> tuple[Action, float]:
    """What promises most to the author, and the success rate that it expects."""
    usual, quality = parameters.usual_log_odds, parameters.author
    rng = stream(parameters, f"author {situation}")

    def guess(action: Action) -> float:
        truth = fmean(
            world.log_odds(category, situation, action) - usual
            for category in parameters.category_shares
        )
        noise = parameters.action_spread * rng.gauss()
        return usual + quality * truth + math.sqrt(1 - quality**2) * noise

    guesses = {action: guess(action) for action in actions_for(situation.kind)}
    best = max(guesses, key=lambda action: (guesses[action], action))
    return best, probability(guesses[best])


def _trigger(facts: Mapping[str, str | int]) -> str:
    for key, value in facts.items():
        if key in _TRIGGERS:
            return f"{_TRIGGERS[key]} == {json.dumps(value)}"
    return _UNSTATED
