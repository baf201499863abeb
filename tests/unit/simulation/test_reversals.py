from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import NetworkMetrics
from keeper_grpc.simulation.measures.reversals import QUIET, SOON, Reversals, reversals
from keeper_grpc.simulation.measures.value import Reached
from keeper_grpc.simulation.parameters import Parameters
from keeper_grpc.simulation.play.episodes import Advice, Answer, Episode
from keeper_grpc.simulation.play.oracle import best_advice
from keeper_grpc.simulation.play.person import Person, alone
from keeper_grpc.simulation.play.story import PatternDay, PlayedStory, Snapshot, Support
from keeper_grpc.simulation.show.reversals import reversals_of_worlds, reversals_sheets
from keeper_grpc.simulation.world.population import met, population
from keeper_grpc.simulation.world.truth import (
    SITUATIONS,
    Action,
    Situation,
    World,
    actions_for,
)

TURN = 40
PARAMETERS = Parameters(customers=(3,), days=90, reversals=0.4, reversal_day=TURN)
WORLD = World(PARAMETERS)
ACCOUNT = population(PARAMETERS)[0]
INSIGHT = next(met(PARAMETERS, ACCOUNT, 90.0))
PATTERN, STEADY = "a pattern that stops working", "one that works on"
AROUND = st.floats(0.05, 0.95)


def truths(action: Action) -> list[float]:
    """How often an action works for the account's line of business before the turn, by situation."""
    return [
        WORLD.success_rate(ACCOUNT.category, situation, action)
        for situation in SITUATIONS
        if situation.kind == action.kind
    ]


ACTIONS = [action for kind in range(5) for action in actions_for(kind)]
FALLS = max(
    (action for action in ACTIONS if WORLD.turns(ACCOUNT.category, action)),
    key=lambda action: min(truths(action)),
)
STAYS = next(
    action for action in actions_for(FALLS.kind) if not WORLD.turns(ACCOUNT.category, action)
)
SITUATION = next(situation for situation in SITUATIONS if situation.kind == FALLS.kind)


@given(AROUND, st.integers(0, 2**32))
def test_what_turns_is_turned_around_on_its_day(share: float, seed: int) -> None:
    """What worked in 70% works in 30% from the day on, in every situation; nothing else changes, and nothing before."""
    parameters = replace(PARAMETERS, seed=seed, reversals=share)
    world, still = World(parameters), World(replace(parameters, reversals=0.0))
    for situation in SITUATIONS:
        for action in actions_for(situation.kind):
            before = still.success_rate("spa", situation, action)
            assert not still.turns("spa", action)
            assert still.success_rate("spa", situation, action, day=TURN) == before
            assert world.success_rate("spa", situation, action, day=TURN - 0.1) == before
            after = world.success_rate("spa", situation, action, day=TURN)
            expected = 1 - before if world.turns("spa", action) else before
            assert after == pytest.approx(expected)


def test_as_many_truths_turn_as_are_asked_for() -> None:
    """Of all worlds' truths the share that is named; of a larger share all that turn in a smaller one."""
    counted = []
    for seed in range(60):
        few, many = (World(replace(PARAMETERS, seed=seed, reversals=share)) for share in (0.2, 0.6))
        for action in ACTIONS:
            counted.append(few.turns("gym", action))
            assert many.turns("gym", action) or not few.turns("gym", action)
    assert sum(counted) / len(counted) == pytest.approx(0.2, abs=0.03)


def test_by_default_truths_turn_when_two_thirds_are_over() -> None:
    """Time to learn before, and to notice after."""
    assert Parameters(days=240).turn == 160
    assert not Parameters().reversals


def test_accounts_and_the_oracle_live_in_the_world_of_the_day() -> None:
    """The same action has another chance after the turn, and the oracle advises another action or none."""
    person = Person(PARAMETERS, WORLD, ACCOUNT, 90.0)
    advice = Advice("p", FALLS, FALLS, "warm", ACCOUNT.category, confidence=0.7, expected=0.7)
    insight = replace(INSIGHT, situation=SITUATION, follows=True)
    answer = Answer("e", advice, "", held_out=False)
    before, after = (
        person.act(replace(insight, day=day), answer).chance for day in (TURN - 1.0, float(TURN))
    )
    assert before > 0.5 > after

    for situation in SITUATIONS:
        for day in (0.0, float(TURN)):
            best = best_advice(WORLD, replace(insight, situation=situation, day=day))
            rates = [
                WORLD.success_rate(ACCOUNT.category, situation, action, "warm", day=day)
                for action in actions_for(situation.kind)
            ]
            assert (best.expected if best else 0.6) >= max(rates) - 1e-12


def advised(day: int, action: Action, pattern_id: str, situation: Situation = SITUATION) -> Episode:
    """An insight of one day that got this advice and did not follow it."""
    advice = Advice(
        pattern_id, action, action, "warm", ACCOUNT.category, confidence=0.7, expected=0.7
    )
    return Episode(
        met=replace(INSIGHT, number=day, day=float(day), situation=situation),
        action=STAYS,
        tone="warm",
        followed=False,
        chance=0.5,
        own_chance=0.5,
        success=True,
        revenue=0.0,
        retained=True,
        answer=Answer("e", advice, "", held_out=False),
    )


def played(advice: dict[int, Action], fading: dict[str, set[int]]) -> Reversals:
    """A story with this advice by day, and these days of FADING."""
    return measured(
        [
            advised(day, action, PATTERN if action == FALLS else STEADY)
            for day, action in sorted(advice.items())
        ],
        fading,
    )


def measured(episodes: Sequence[Episode], fading: dict[str, set[int]]) -> Reversals:
    """A story of these episodes with two published patterns of sixty outcomes each."""
    support = {
        pattern_id: [
            Support(action, ACCOUNT.category, 0.5, SITUATION, day) for day in range(10, 70)
        ]
        for pattern_id, action in ((PATTERN, FALLS), (STEADY, STAYS))
    }
    snapshot = Snapshot([], {PATTERN: FALLS, STEADY: STAYS}, support, NetworkMetrics(), [])
    days = [
        PatternDay(
            day,
            frozenset(support),
            frozenset(pattern_id for pattern_id, faded in fading.items() if day in faded),
        )
        for day in range(PARAMETERS.days)
    ]
    twins = {(ACCOUNT.number, each.met.number): replace(each, chance=0.4) for each in episodes}
    best = {(ACCOUNT.number, each.met.number): replace(each, chance=0.8) for each in episodes}
    story = PlayedStory(episodes, [snapshot], 0, days)
    return reversals(PARAMETERS, WORLD, story, twins, best)


def test_a_reversal_is_found_on_the_day_of_its_fading_and_its_advice_stops_after_the_last() -> None:
    """The days from the turn to FADING, and to the day after the last advice of it that fails."""
    advice = dict.fromkeys(range(20, TURN + 6), FALLS) | dict.fromkeys(range(TURN + 6, 90), STAYS)
    seen = played(advice, {PATTERN: set(range(TURN + 7, 80))})

    (fall,) = seen.falls
    assert fall.worked == pytest.approx(WORLD.success_rate(ACCOUNT.category, SITUATION, FALLS))
    assert fall.a_day == 1
    assert fall.faded == Reached(7, reached=True)
    assert fall.advised == TURN - 20
    assert fall.silent == Reached(6, reached=True)
    assert (seen.false_alarms, seen.worst) == (0, 0)


def test_what_is_never_noticed_counts_for_as_long_as_it_was_watched() -> None:
    """Without FADING, and with advice to the end, both times are open."""
    (fall,) = played(dict.fromkeys(range(30, 90), FALLS), {}).falls
    assert fall.faded == Reached(50, reached=False)
    assert fall.silent == Reached(50, reached=False)
    (quiet,) = played(dict.fromkeys(range(30, 90 - QUIET), FALLS), {}).falls
    assert quiet.silent == Reached(50 - QUIET, reached=True)


def test_what_fades_without_a_turn_is_a_false_alarm() -> None:
    """Of a pattern that works on, or before the day; each time that it begins counts, and not each day."""
    seen = played({20: FALLS}, {PATTERN: {20, 21, 50, 51}, STEADY: {5, 6, 7, 60}})
    assert (seen.false_alarms, seen.worst) == (3, 2)
    # Both patterns until the turn, and one after it.
    assert seen.pattern_years == pytest.approx((2 * TURN + 50) / 365)
    (fall,) = seen.falls
    assert fall.faded == Reached(10, reached=True)


def test_arms_are_compared_by_the_days_around_the_turn() -> None:
    """What the network brings of what the oracle brings, and the advice that worked before and fails since."""
    advice = dict.fromkeys(range(20, TURN + SOON), FALLS)
    seen = played(advice, {})
    before, after = [span for span in seen.spans if -SOON <= span.begins < SOON]

    assert (before.begins, after.begins, after.ends) == (-SOON, 0, SOON)
    assert before.reached == pytest.approx(0.25)
    assert (before.enhanced, before.stale, after.stale) == (1.0, 0.0, 1.0)
    assert seen.weeks[0].networked is None
    assert seen.weeks[0].reached is None
    titles = [sheet.title for sheet in reversals_sheets(seen)]
    assert titles == [
        f"Patterns whose truth turns on day {TURN}",
        "Before and after the turn",
        "How advice follows the truth",
    ]


def test_worlds_are_counted_together() -> None:
    """Every pattern that stops working counts once, and alarms by all the years in which they might have been."""
    noticed = played({30: FALLS}, {PATTERN: {TURN + 3}, STEADY: {50}})
    missed = played({30: FALLS}, {})
    falls, promises = reversals_of_worlds([noticed, missed])
    cells = {row[0]: row[1:] for row in [*falls.rows, *promises.rows]}

    assert cells["patterns"][0] == "2"
    assert cells[f"FADING within {SOON} days"][0] == "1 of 2"
    assert cells["median days until FADING"][0] == "3"
    years = noticed.pattern_years + missed.pattern_years
    assert cells["false alarms a pattern and year"][-1].startswith(f"{1 / years:.2f} (1 in ")


def test_the_new_best_action_is_found_when_it_is_first_advised_there() -> None:
    """Each situation whose best action turned is waited for; advice before the turn or elsewhere does not count."""
    waiting = [
        (category, situation, best)
        for category in PARAMETERS.category_shares
        for situation in SITUATIONS
        if WORLD.turns(category, best := WORLD.best_action(category, situation, TURN))
        and WORLD.success_rate(category, situation, best, day=TURN) >= 0.6
    ]
    nothing = played({20: FALLS}, {}).found
    assert len(nothing) == len(waiting)
    assert not any(each.reached for each in nothing)

    place = next(place for place in waiting if place[0] == ACCOUNT.category)
    _, situation, best = place
    lived = [advised(day, best, "new", situation) for day in (TURN - 5, TURN + 4, TURN + 9)]
    found = measured(lived, {}).found
    assert [each.days for each in found if each.reached] == [4]


def test_a_story_of_one_account_alone_is_the_same_until_the_turn() -> None:
    """A parameter changes only what it controls: until the day, the world without reversals is the same one."""
    still = replace(PARAMETERS, reversals=0.0)
    account = population(PARAMETERS)[0]
    turned, plain = (alone(each, World(each), account, 90) for each in (PARAMETERS, still))
    assert [e for e in turned if e.met.day < TURN] == [e for e in plain if e.met.day < TURN]
    assert turned != plain
