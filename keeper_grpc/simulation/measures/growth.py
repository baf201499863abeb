"""The network's performance in the measured part of each stage, when no account joins, and the truth."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from keeper_grpc.domain.metrics.experiment import Experiment, OwnerOutcomes, experiment
from keeper_grpc.domain.metrics.uplift import Arm
from keeper_grpc.simulation.measures.averages import mean
from keeper_grpc.simulation.play.episodes import Advice, Episode
from keeper_grpc.simulation.world.population import Met, Stage
from keeper_grpc.simulation.world.truth import Action, World


@dataclass(frozen=True, slots=True)
class Growth:
    """One stage. All figures cover the measured part, except the uplift, which needs the whole stage.

    Shares and rates are None when their denominator is zero. `success_alone` is the success rate of
    the same insights without the network. `true_uplift` is the true chance of what accounts did when they were advised,
    whether or not they followed, less that of the action they would have chosen. `script_differs` is the
    share of advice whose script names another action than its pattern. What is said of advice is said of proven advice;
    `authored` is the share of the insights that got an author's, `authored_chance` its true success rate and
    `claims_off` what authors claim beyond that. `asked` are the questions that were not held out.
    """

    questions: int
    asked: int
    enhanced: float | None
    authored: float | None
    authored_chance: float | None
    claims_off: float | None
    elsewhere: float | None
    confidence: float | None
    success: float | None
    success_alone: float | None
    uplift: Experiment
    true_uplift: float | None
    advised_chance: float | None
    best_chance: float | None
    best_found: float | None
    script_differs: float | None
    own_best: float | None
    bias: float | None
    error: float | None


def growth(
    world: World,
    stage: Stage,
    episodes: Sequence[Episode],
    alone: Mapping[tuple[int, int], Episode],
) -> Growth:
    """Measure one stage. `alone` is the other arm, by account and number of the insight."""
    here = [e for e in episodes if stage.reached <= e.asked_day < stage.ends]
    whole = [e for e in episodes if stage.begins <= e.asked_day < stage.ends]
    asked = [e for e in here if e.answer and not e.answer.held_out]
    advised = [(e.met, e.proven) for e in asked if e.proven]
    authored = [(e.met, e.advice) for e in asked if e.advice and e.advice.authored]
    claimed = [(advice.expected, true_rate(world, met, advice)) for met, advice in authored]
    truths = [true_rate(world, met, advice) for met, advice in advised]
    off = [advice.expected - true for (_, advice), true in zip(advised, truths, strict=True)]
    return Growth(
        questions=len(here),
        asked=len(asked),
        enhanced=mean(e.proven is not None for e in asked),
        authored=mean(e.advice is not None and e.advice.authored for e in asked),
        authored_chance=mean(true for _, true in claimed),
        claims_off=mean(claim - true for claim, true in claimed),
        elsewhere=mean(advice.category != met.account.category for met, advice in advised),
        confidence=mean(advice.confidence for _, advice in advised),
        success=mean(e.success for e in here),
        success_alone=mean(alone[e.met.account.number, e.met.number].success for e in here),
        uplift=measured_uplift(whole),
        true_uplift=mean(e.chance - e.own_chance for e in whole if e.advice),
        advised_chance=mean(truths),
        best_chance=mean(_best_rate(world, met) for met, _ in advised),
        best_found=mean(advice.action == _best(world, met) for met, advice in advised),
        script_differs=mean(advice.action != advice.meant for _, advice in advised if advice.tone),
        own_best=mean(e.action == _best(world, e.met) for e in here),
        bias=mean(off),
        error=mean(abs(each) for each in off),
    )


def measured_uplift(episodes: Iterable[Episode]) -> Experiment:
    """The uplift as `keeper uplift` counts it: all who were advised against the holdout, by account."""
    arms: dict[str, tuple[list[bool], list[bool]]] = defaultdict(lambda: ([], []))
    for episode in episodes:
        answer = episode.answer
        if answer and (answer.advice or answer.held_out):
            arms[episode.met.account.account_id][answer.held_out].append(episode.success)
    return experiment(
        [
            OwnerOutcomes(account, "", 0.0, _arm(advised), _arm(held_out))
            for account, (advised, held_out) in arms.items()
        ]
    )


def _arm(outcomes: Sequence[bool]) -> Arm:
    return Arm(len(outcomes), sum(outcomes))


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of advice with similar expected rates, and its true rate."""

    expected: float
    true: float
    count: int


def calibration(
    world: World, episodes: Iterable[Episode], width: float = 0.05, *, authored: bool = False
) -> list[Bucket]:
    """Expected against true rates of proven or of authored advice, in buckets of the expected rate."""
    buckets: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for episode in episodes:
        advice = episode.advice
        if advice and advice.authored is authored:
            true = true_rate(world, episode.met, advice)
            buckets[math.floor(advice.expected / width)].append((advice.expected, true))
    return [
        Bucket(
            fmean(expected for expected, _ in bucket),
            fmean(true for _, true in bucket),
            len(bucket),
        )
        for _, bucket in sorted(buckets.items())
    ]


def true_rate(world: World, met: Met, advice: Advice) -> float:
    """How often an average account succeeds with this advice here."""
    return world.success_rate(
        met.account.category, met.situation, advice.action, advice.tone, day=met.day
    )


def _best(world: World, met: Met) -> Action:
    return world.best_action(met.account.category, met.situation, met.day)


def _best_rate(world: World, met: Met) -> float:
    """How often an average account would succeed with the best action in the best tone."""
    best = _best(world, met)
    return world.success_rate(
        met.account.category, met.situation, best, world.best_tone(best), day=met.day
    )
