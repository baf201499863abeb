"""What the network did in the part of each stage in which nobody joined, beside the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from keeper_grpc.domain.uplift import Arm, Uplift
from keeper_grpc.simulation.episodes import Episode
from keeper_grpc.simulation.population import Stage
from keeper_grpc.simulation.world import World


@dataclass(frozen=True, slots=True)
class Growth:
    """One stage. Everything is of the measured part, but for the uplift, which needs the whole stage.

    Shares and rates are None where there is nothing to take them of. `success_alone` is the success
    rate that the same insights had without the network. `true_uplift` is by how much the advice that
    was followed was better than what the same accounts would have done.
    """

    questions: int
    enhanced: float | None
    elsewhere: float | None
    confidence: float | None
    success: float | None
    success_alone: float | None
    uplift: Uplift
    true_uplift: float | None
    advised_chance: float | None
    best_chance: float | None
    best_found: float | None
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
    advised = [e for e in asked if e.advice]
    off = [_expected(e) - _advised(world, e) for e in advised]
    return Growth(
        questions=len(here),
        enhanced=_share(asked, lambda e: e.advice is not None),
        elsewhere=_share(advised, _from_elsewhere),
        confidence=_mean(e.advice.confidence for e in advised if e.advice),
        success=_share(here, lambda e: e.success),
        success_alone=_share(
            [alone[e.met.account.number, e.met.number] for e in here], lambda e: e.success
        ),
        uplift=measured_uplift(whole),
        true_uplift=_mean(e.chance - e.own_chance for e in whole if e.followed),
        advised_chance=_mean(_advised(world, e) for e in advised),
        best_chance=_mean(_best(world, e) for e in advised),
        best_found=_share(advised, lambda e: _is_best(world, e)),
        own_best=_share(
            here,
            lambda e: e.action == world.best_action(e.met.account.category, e.met.situation),
        )
        if here
        else None,
        bias=_mean(off),
        error=_mean(abs(each) for each in off),
    )


def measured_uplift(episodes: Iterable[Episode]) -> Uplift:
    """What the holdout shows, as `keeper uplift` counts it: those who followed against the held out."""
    episodes = list(episodes)
    followed = [e.success for e in episodes if e.followed]
    held_out = [e.success for e in episodes if e.answer and e.answer.held_out]
    return Uplift(Arm(len(followed), sum(followed)), Arm(len(held_out), sum(held_out)))


@dataclass(frozen=True, slots=True)
class Bucket:
    """Advice with nearly the same promise, and how often it really works."""

    expected: float
    true: float
    count: int


def calibration(world: World, episodes: Iterable[Episode], width: float = 0.05) -> list[Bucket]:
    """Promise against truth, by promise."""
    buckets: dict[int, list[Episode]] = {}
    for episode in episodes:
        if episode.advice:
            buckets.setdefault(math.floor(episode.advice.expected / width), []).append(episode)
    return [
        Bucket(
            fmean(_expected(e) for e in bucket),
            fmean(_advised(world, e) for e in bucket),
            len(bucket),
        )
        for _, bucket in sorted(buckets.items())
    ]


def _expected(episode: Episode) -> float:
    return episode.advice.expected if episode.advice else math.nan


def _advised(world: World, episode: Episode) -> float:
    """How often an average account succeeds with this advice here."""
    advice, met = episode.advice, episode.met
    if advice is None:
        return math.nan
    return world.success_rate(met.account.category, met.situation, advice.action, advice.tone)


def _best(world: World, episode: Episode) -> float:
    """How often it would succeed with the best action and the best tone."""
    category, situation = episode.met.account.category, episode.met.situation
    best = world.best_action(category, situation)
    return world.success_rate(category, situation, best, world.best_tone(best))


def _is_best(world: World, episode: Episode) -> bool:
    met = episode.met
    best = world.best_action(met.account.category, met.situation)
    return episode.advice is not None and episode.advice.action == best


def _from_elsewhere(episode: Episode) -> bool:
    return episode.advice is not None and episode.advice.category != episode.met.account.category


def _share(episodes: Sequence[Episode], test: Callable[[Episode], bool]) -> float | None:
    return _mean(float(test(episode)) for episode in episodes)


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return fmean(listed) if listed else None
