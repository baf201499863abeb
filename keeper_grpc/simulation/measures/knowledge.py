"""The network's patterns at the end of a stage, compared with the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from keeper_grpc.simulation.measures.averages import mean
from keeper_grpc.simulation.play.speech import tone_of
from keeper_grpc.simulation.play.story import Snapshot, Support
from keeper_grpc.simulation.world.truth import Action, World, probability
from keeper_grpc.simulation.world.wordings import TONES


@dataclass(frozen=True, slots=True)
class Knowledge:
    """One snapshot. `tried` counts the (category, action) pairs that any account acted on, `found`
    those that have a pattern in their words.

    `misplaced` is the share of outcomes counted for a pattern of another action. `rate_error` is the
    mean absolute difference between published success rates and the true rates of the outcomes
    counted; `bound_holds` is the share of lower bounds below those true rates (95% by design).
    `best_script` is the share of proven scripts in the tone that suits the pattern's action best, `best_tried` that of those with MUCH outcomes or more, and `best_script_ceiling` what an oracle could expect
    of these. `exploration_loss` is the success that each question with advice was expected to cost.
    """

    tried: int
    patterns: int
    found: int
    published: int
    misplaced: float | None
    rate_error: float | None
    bound_holds: float | None
    scripts: int
    best_script: float | None
    tried_scripts: int
    best_tried: float | None
    best_script_ceiling: float | None
    exploration_loss: float


MUCH = 100
"""Outcomes of a pattern after which its best script is to be known."""


def knowledge(world: World, snapshot: Snapshot) -> Knowledge:
    """Measure one snapshot."""
    support = snapshot.support
    counted = [
        (snapshot.meaning[pattern_id], each)
        for pattern_id, all_of_it in support.items()
        for each in all_of_it
    ]
    proven = [
        (snapshot.meaning[pattern.pattern_id], tone, support[pattern.pattern_id])
        for pattern in snapshot.published
        if (tone := tone_of(pattern.proven_script))
    ]
    tried = [each for each in proven if len(each[2]) >= MUCH]
    rates = [
        (pattern, fmean(each.chance for each in support[pattern.pattern_id]))
        for pattern in snapshot.published
    ]
    return Knowledge(
        tried=len({(each.category, each.action) for _, each in counted}),
        patterns=len(support),
        found=len({_named(snapshot, pattern_id) for pattern_id in support}),
        published=len(snapshot.published),
        misplaced=mean(meaning != each.action for meaning, each in counted),
        rate_error=mean(abs(p.evidence.success_rate - truth) for p, truth in rates),
        bound_holds=mean(p.evidence.lower_bound <= truth for p, truth in rates),
        scripts=len(proven),
        best_script=mean(tone == world.best_tone(action) for action, tone, _ in proven),
        tried_scripts=len(tried),
        best_tried=mean(tone == world.best_tone(action) for action, tone, _ in tried),
        best_script_ceiling=mean(_found_by_oracle(world, action, own) for action, _, own in tried),
        exploration_loss=snapshot.exploration_loss,
    )


def _named(snapshot: Snapshot, pattern_id: str) -> tuple[str, Action]:
    """The (category, action) that the pattern's words name."""
    return snapshot.support[pattern_id][0].category, snapshot.meaning[pattern_id]


def _found_by_oracle(world: World, action: Action, outcomes: Sequence[Support]) -> float:
    """The chance that the best tone shows the better record, if somebody who knows which is the worst had given
    every outcome to the other two.
    """
    average = fmean(each.chance for each in outcomes)
    odds = math.log(average / (1 - average))
    best, second, *_ = sorted((world.tone(action, tone) for tone in TONES), reverse=True)
    rates = [probability(odds + tone) for tone in (best, second)]
    noise = math.sqrt(sum(rate * (1 - rate) for rate in rates) / (len(outcomes) / 2))
    return NormalDist().cdf((rates[0] - rates[1]) / noise)
