"""What becomes of the network's advice when truths turn on a known day.

A pattern falls where its truth turns and it worked in at least half of the cases that were counted for it before.
Every other FADING is a false alarm: of a pattern whose truth stays or improves, or of any pattern before the day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from keeper_grpc.domain.advice.ranking import DEFAULT_MIN_SUCCESS_RATE
from keeper_grpc.simulation.measures.averages import mean
from keeper_grpc.simulation.measures.growth import true_rate
from keeper_grpc.simulation.measures.value import Reached
from keeper_grpc.simulation.parameters import Parameters
from keeper_grpc.simulation.play.episodes import Episode
from keeper_grpc.simulation.play.story import PatternDay, PlayedStory, Support
from keeper_grpc.simulation.world.truth import SITUATIONS, Action, Situation, World

SOON = 21
"""Days within which a reversal is to be found, from the day on which the truth turns."""

BEFORE = 30
"""Days before the turn over which a pattern's outcomes and advice are counted."""

WEEK = 7

QUIET = 14
"""Days at the end of the story without failing advice that show that it was stopped."""

_EVEN = 0.5
_YEAR = 365


@dataclass(frozen=True, slots=True)
class Fall:
    """A published pattern that stopped working.

    `worked` is its true rate before the turn, over the outcomes counted for it, of which there were `a_day` each day.
    `faded` are the days from the turn until it was FADING. `advised` is how often its line of business got it as
    advice in the days before; `silent` are the days until the last such advice that fails more often than not, None
    without any before.
    """

    worked: float
    a_day: float
    faded: Reached
    advised: int
    silent: Reached | None


@dataclass(frozen=True, slots=True)
class Span:
    """Some days, counted from the turn: true chances of success in the three arms, the share of insights that were enhanced, and the
    share of the proven advice that worked before the turn and fails more often than not since.
    """

    begins: int
    ends: int
    networked: float | None
    alone: float | None
    oracle: float | None
    enhanced: float | None
    stale: float | None

    @property
    def reached(self) -> float | None:
        """What the network brings, as a share of what the oracle brings."""
        if self.networked is None or self.alone is None or self.oracle is None:
            return None
        possible = self.oracle - self.alone
        return (self.networked - self.alone) / possible if possible > 0 else None


@dataclass(frozen=True, slots=True)
class Reversals:
    """One story whose truths turned on the day `turn`.

    `found` are, for each situation of a line of business whose best action now is one that turned, the days until the
    network first advised it there. In `pattern_years` in which no alarm was right there were `false_alarms`, `worst` of
    them of one pattern. `spans` are of SOON days, `weeks` of WEEK.
    """

    turn: int
    falls: Sequence[Fall]
    found: Sequence[Reached]
    false_alarms: int
    worst: int
    pattern_years: float
    spans: Sequence[Span]
    weeks: Sequence[Span]


def reversals(
    parameters: Parameters,
    world: World,
    story: PlayedStory,
    alone: Mapping[tuple[int, int], Episode],
    oracle: Mapping[tuple[int, int], Episode],
) -> Reversals:
    """Measure a story whose truths turn. `alone` and `oracle` are the other arms, by account and number of the insight."""
    turn, days, last = parameters.turn, parameters.days, story.snapshots[-1]
    falling = {
        pattern_id: worked
        for pattern_id, support in last.support.items()
        if (worked := _worked(world, last.meaning[pattern_id], support, turn)) >= _EVEN
    }
    published = next((each.published for each in story.pattern_days if each.day == turn - 1), ())
    alarms, pattern_days = _false_alarms(story.pattern_days, falling.keys(), turn)

    def spans(first: int, length: int) -> list[Span]:
        return [
            _span(
                world, story.episodes, (begins, begins + length), turn, alone=alone, oracle=oracle
            )
            for begins in range(first, days - length + 1, length)
        ]

    return Reversals(
        turn=turn,
        falls=[
            _fall(world, story, pattern_id, worked, parameters)
            for pattern_id, worked in falling.items()
            if pattern_id in published
        ],
        found=_found(parameters, world, story.episodes),
        false_alarms=sum(alarms.values()),
        worst=max(alarms.values(), default=0),
        pattern_years=pattern_days / _YEAR,
        spans=spans(turn % SOON, SOON),
        weeks=spans(turn % WEEK, WEEK),
    )


def _worked(world: World, action: Action, support: Sequence[Support], turn: int) -> float:
    """How often a pattern that turns worked before, where it was tried; zero if it does not turn."""
    category = support[0].category
    if not world.turns(category, action):
        return 0.0
    rates = [
        world.success_rate(category, each.situation, action)
        for each in support
        if each.known_day < turn
    ]
    return mean(rates) or 0.0


def _fall(
    world: World, story: PlayedStory, pattern_id: str, worked: float, parameters: Parameters
) -> Fall:
    """One published pattern that stops working."""
    turn, last = parameters.turn, story.snapshots[-1]
    support = last.support[pattern_id]
    faded = next(
        (each.day for each in story.pattern_days if each.day >= turn and pattern_id in each.fading),
        None,
    )
    advice = [
        e
        for e in story.episodes
        if e.proven
        and e.proven.pattern_id == pattern_id
        and e.met.account.category == support[0].category
    ]
    before = sum(turn - BEFORE <= e.asked_day < turn for e in advice)
    failing = [e.asked_day for e in advice if e.asked_day >= turn and _rate(world, e) < _EVEN]
    silent = max(failing) + 1 if failing else turn
    return Fall(
        worked=worked,
        a_day=sum(turn - BEFORE <= each.known_day < turn for each in support) / BEFORE,
        faded=_since(turn, faded, parameters),
        advised=before,
        silent=_since(turn, silent if silent <= parameters.days - QUIET else None, parameters)
        if before
        else None,
    )


def _false_alarms(
    pattern_days: Sequence[PatternDay], falling: Collection[str], turn: int
) -> tuple[Counter[str], int]:
    """How often each pattern began to fade without a reason, and the days on which patterns might have."""
    alarms: Counter[str] = Counter()
    days, before = 0, frozenset[str]()
    for each in pattern_days:
        right = falling if each.day >= turn else ()
        days += len(each.published.difference(right))
        alarms.update(each.fading.difference(before, right))
        before = each.fading
    return alarms, days


def _found(parameters: Parameters, world: World, episodes: Sequence[Episode]) -> list[Reached]:
    """Days until what works best now, and failed before, was first advised in its situation."""
    turn, first = parameters.turn, dict[tuple[str, Situation, Action], int]()
    for e in episodes:
        if e.proven and e.asked_day >= turn:
            place = e.met.account.category, e.met.situation, e.proven.action
            first[place] = min(first.get(place, e.asked_day), e.asked_day)
    found = []
    for category in parameters.category_shares:
        for situation in SITUATIONS:
            best = world.best_action(category, situation, turn)
            now = world.success_rate(category, situation, best, day=turn)
            if world.turns(category, best) and now >= DEFAULT_MIN_SUCCESS_RATE:
                day = first.get((category, situation, best))
                found.append(_since(turn, day, parameters))
    return found


def _span(
    world: World,
    episodes: Sequence[Episode],
    days: tuple[int, int],
    turn: int,
    *,
    alone: Mapping[tuple[int, int], Episode],
    oracle: Mapping[tuple[int, int], Episode],
) -> Span:
    """The three arms over some days; `days` are the first one and the one after the last."""
    here = [e for e in episodes if days[0] <= e.asked_day < days[1]]
    twins = [(e.met.account.number, e.met.number) for e in here]
    advised = [e for e in here if e.proven]
    return Span(
        begins=days[0] - turn,
        ends=days[1] - turn,
        networked=mean(e.chance for e in here),
        alone=mean(alone[twin].chance for twin in twins),
        oracle=mean(oracle[twin].chance for twin in twins),
        enhanced=mean(e.proven is not None for e in here if e.answer and not e.answer.held_out),
        stale=mean(
            e.asked_day >= turn
            and _rate(world, e) < _EVEN
            and world.turns(e.met.account.category, e.proven.action)
            for e in advised
            if e.proven
        ),
    )


def _rate(world: World, episode: Episode) -> float:
    """How often an average account succeeds with the advice of an episode that has some."""
    advice = episode.advice
    return true_rate(world, episode.met, advice) if advice else 0.0


def _since(turn: int, day: int | None, parameters: Parameters) -> Reached:
    """Days from the turn until a day, or until the story ended."""
    if day is None:
        return Reached(parameters.days - turn, reached=False)
    return Reached(day - turn, reached=True)
