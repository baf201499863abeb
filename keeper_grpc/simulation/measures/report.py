"""All measures of one run, stage by stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi, NetworkMetrics
from keeper_grpc.simulation.measures.ceilings import Ceilings, ceilings
from keeper_grpc.simulation.measures.growth import Bucket, Growth, calibration, growth
from keeper_grpc.simulation.measures.knowledge import Knowledge, knowledge
from keeper_grpc.simulation.measures.marginal import Marginal
from keeper_grpc.simulation.measures.reversals import Reversals, reversals
from keeper_grpc.simulation.measures.value import (
    DEFINITIONS,
    PRIMARY,
    Definition,
    Reached,
    Value,
    time_to_value,
)
from keeper_grpc.simulation.parameters import Parameters
from keeper_grpc.simulation.play.episodes import Episode
from keeper_grpc.simulation.play.oracle import with_oracle
from keeper_grpc.simulation.play.person import alone
from keeper_grpc.simulation.play.story import PlayedStory
from keeper_grpc.simulation.world.population import Account, Stage, population, stages
from keeper_grpc.simulation.world.truth import World

PATIENCE = 360
"""Days beyond the story's end for which the arm without the network is followed: it needs no server,
and it reaches value late."""


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage: `value` by definition; `metrics` and `kpis` as the network reports them."""

    stage: Stage
    newcomers: int
    growth: Growth
    knowledge: Knowledge
    value: Mapping[str, Value]
    metrics: NetworkMetrics
    kpis: Sequence[Kpi]
    ceilings: Ceilings


@dataclass(frozen=True, slots=True)
class Month:
    """Thirty days, for the plots: the success rates with and without the network, the enhanced share."""

    day: float
    networked: float
    alone: float
    enhanced: float


@dataclass(frozen=True, slots=True)
class Report:
    """One run. `calibration` is of the last stage's measured part, `claims` of all authored advice of the story; `marginal` is None unless it was asked for,
    and `reversals` unless truths turn.
    """

    parameters: Parameters
    stages: Sequence[StageReport]
    months: Sequence[Month]
    calibration: Sequence[Bucket]
    calls: int
    claims: Sequence[Bucket] = ()
    marginal: Marginal | None = None
    reversals: Reversals | None = None


def measure(parameters: Parameters, world: World, story: PlayedStory) -> Report:
    """Measure one run. The arm without the network is computed here too."""
    accounts = population(parameters)
    followed_until = parameters.days + PATIENCE
    by_account: dict[int, list[Episode]] = defaultdict(list)
    for episode in story.episodes:
        by_account[episode.met.account.number].append(episode)
    lonely = {
        account.number: alone(parameters, world, account, followed_until) for account in accounts
    }
    held_out = {
        (e.met.account.number, e.met.number)
        for e in story.episodes
        if e.answer and e.answer.held_out
    }
    ideal = {
        account.number: with_oracle(parameters, world, account, parameters.days, held_out)
        for account in accounts
    }
    twins, oracle = _by_insight(lonely), _by_insight(ideal)
    all_stages = stages(parameters)
    reports = []
    for stage, snapshot in zip(all_stages, story.snapshots, strict=True):
        newcomers = [a for a in accounts if stage.begins <= a.joined < stage.reached]
        grown, known = growth(world, stage, story.episodes, twins), knowledge(world, snapshot)
        value = _value(newcomers, by_account, lonely, stage.ends, followed_until)
        best = _value(newcomers, ideal, lonely, stage.ends, followed_until)
        reports.append(
            StageReport(
                stage=stage,
                newcomers=len(newcomers),
                growth=grown,
                knowledge=known,
                value=value,
                ceilings=ceilings(
                    parameters,
                    world,
                    stage,
                    story.episodes,
                    oracle=oracle,
                    growth=grown,
                    knowledge=known,
                    value=value[PRIMARY],
                    oracle_value=best[PRIMARY],
                ),
                metrics=snapshot.metrics,
                kpis=snapshot.kpis,
            )
        )
    last = [e for e in story.episodes if e.asked_day >= all_stages[-1].reached]
    return Report(
        parameters,
        reports,
        _months(story.episodes, twins),
        calibration(world, last),
        story.calls,
        claims=calibration(world, story.episodes, authored=True),
        reversals=reversals(parameters, world, story, twins, oracle)
        if parameters.reversals
        else None,
    )


def lonely_twins(
    parameters: Parameters, world: World, until: float
) -> Mapping[tuple[int, int], Episode]:
    """The arm without the network, by account and number of the insight."""
    return _by_insight(
        {
            account.number: alone(parameters, world, account, until)
            for account in population(parameters)
        }
    )


def _by_insight(
    lived: Mapping[int, Sequence[Episode]],
) -> Mapping[tuple[int, int], Episode]:
    """Episodes by account and number of the insight."""
    return {
        (number, episode.met.number): episode
        for number, episodes in lived.items()
        for episode in episodes
    }


def _value(
    newcomers: Sequence[Account],
    networked: Mapping[int, Sequence[Episode]],
    lonely: Mapping[int, Sequence[Episode]],
    until: float,
    followed_until: float,
) -> Mapping[str, Value]:
    def times(
        arm: Mapping[int, Sequence[Episode]], definition: Definition, until: float
    ) -> Sequence[Reached]:
        return [
            time_to_value(account, arm.get(account.number, ()), definition, until)
            for account in newcomers
        ]

    watched = followed_until - max((account.joined for account in newcomers), default=0.0)
    return {
        name: Value(
            networked_times=times(networked, definition, until),
            alone_times=times(lonely, definition, followed_until),
            watched=watched,
        )
        for name, definition in DEFINITIONS.items()
    }


def _months(
    episodes: Sequence[Episode], twins: Mapping[tuple[int, int], Episode]
) -> Sequence[Month]:
    months: dict[int, list[Episode]] = defaultdict(list)
    for episode in episodes:
        months[episode.asked_day // 30].append(episode)
    found = []
    for number, here in sorted(months.items()):
        asked = [e for e in here if e.answer and not e.answer.held_out]
        found.append(
            Month(
                day=number * 30 + 15,
                networked=sum(e.success for e in here) / len(here),
                alone=sum(twins[e.met.account.number, e.met.number].success for e in here)
                / len(here),
                enhanced=sum(e.proven is not None for e in asked) / max(len(asked), 1),
            )
        )
    return found
