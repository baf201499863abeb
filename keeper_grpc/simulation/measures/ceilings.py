"""What an oracle in the network's place could reach, beside what the network reached.

A promise may be out of reach in a world: where no action works often enough there is nothing to enhance, and who does
well alone cannot do so three times sooner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keeper_grpc.simulation.measures.averages import mean
from keeper_grpc.simulation.measures.growth import Growth
from keeper_grpc.simulation.measures.knowledge import Knowledge
from keeper_grpc.simulation.measures.value import Value
from keeper_grpc.simulation.parameters import Parameters
from keeper_grpc.simulation.play.episodes import Advice, Episode
from keeper_grpc.simulation.play.oracle import best_advice
from keeper_grpc.simulation.world.population import Stage
from keeper_grpc.simulation.world.truth import SITUATIONS, World, actions_for


@dataclass(frozen=True, slots=True)
class Reach:
    """One promise: what the network reached, and the oracle; None where there is none."""

    reached: float | None
    ceiling: float | None

    @property
    def share(self) -> float | None:
        """The part of the ceiling that was reached."""
        if self.reached is None or not self.ceiling or self.ceiling <= 0:
            return None
        return self.reached / self.ceiling


@dataclass(frozen=True, slots=True)
class Ceilings:
    """One stage's promises beside the oracle.

    `enhanced` counts only insights that have an action which truly works often enough, and proven advice; `answered`
    counts an author's advice as well, `first` only in the first call of the accounts that joined. `in_vain` is the share of
    proven advice given where there is none. `success` is that of all insights, `better` its relative improvement, `sooner` that
    of time to value, `advice` the true success rate of what is advised, `patterns` the distinct truths.
    """

    enhanced: Reach
    answered: Reach
    first: Reach
    in_vain: float | None
    success: Reach
    better: Reach
    sooner: Reach
    confidence: Reach
    advice: Reach
    patterns: Reach

    @property
    def least(self) -> float | None:
        """The least share of a ceiling among the promises to customers: enhanced, better and sooner."""
        shares = [each.share for each in (self.enhanced, self.better, self.sooner)]
        known = [share for share in shares if share is not None]
        return min(known) if len(known) == len(shares) else None


def ceilings(
    parameters: Parameters,
    world: World,
    stage: Stage,
    episodes: Sequence[Episode],
    *,
    oracle: Mapping[tuple[int, int], Episode],
    growth: Growth,
    knowledge: Knowledge,
    value: Value,
    oracle_value: Value,
) -> Ceilings:
    """Measure one stage. `oracle` is the arm with the oracle, by account and number of the insight."""
    here = [e for e in episodes if stage.reached <= e.asked_day < stage.ends]
    asked = [e for e in here if e.answer and not e.answer.held_out]
    could = [(e, best_advice(world, e.met)) for e in asked]
    joined = [
        (e, best_advice(world, e.met))
        for e in episodes
        if e.met.number == 0
        and stage.begins <= e.met.account.joined < stage.ends
        and e.answer
        and not e.answer.held_out
    ]
    best = mean(oracle[e.met.account.number, e.met.number].success for e in here)
    return Ceilings(
        enhanced=Reach(
            mean(e.proven is not None and advice is not None for e, advice in could),
            mean(advice is not None for _, advice in could),
        ),
        answered=_answered(could),
        first=_answered(joined),
        in_vain=mean(advice is None for e, advice in could if e.proven),
        success=Reach(growth.success, best),
        better=Reach(
            _relative(growth.success, growth.success_alone), _relative(best, growth.success_alone)
        ),
        sooner=Reach(value.acceleration, oracle_value.acceleration),
        confidence=Reach(
            growth.confidence, mean(advice.confidence for _, advice in could if advice)
        ),
        advice=Reach(growth.advised_chance, growth.best_chance),
        patterns=Reach(knowledge.found, _truths(parameters)),
    )


def _answered(could: Sequence[tuple[Episode, Advice | None]]) -> Reach:
    """Of these insights, those that the oracle answers, and those of them that the network answered somehow."""
    return Reach(
        mean(e.advice is not None and advice is not None for e, advice in could),
        mean(advice is not None for _, advice in could),
    )


def _relative(better: float | None, base: float | None) -> float | None:
    return better / base - 1 if better is not None and base else None


def _truths(parameters: Parameters) -> int:
    """The distinct (category, action) pairs of the world."""
    kinds = {situation.kind for situation in SITUATIONS}
    return len(parameters.category_shares) * sum(len(actions_for(kind)) for kind in kinds)
