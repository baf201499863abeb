from collections.abc import Sequence
from dataclasses import replace
from statistics import median as plain_median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import NetworkMetrics
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern
from keeper_grpc.simulation.measures.growth import calibration, growth, measured_uplift
from keeper_grpc.simulation.measures.knowledge import knowledge
from keeper_grpc.simulation.measures.value import (
    Reached,
    Value,
    begun,
    earned,
    median,
    observed,
    reliable,
    successes,
    time_to_value,
)
from keeper_grpc.simulation.parameters import Parameters
from keeper_grpc.simulation.play.episodes import Advice, Answer, Episode
from keeper_grpc.simulation.play.speech import script
from keeper_grpc.simulation.play.story import Snapshot, Support
from keeper_grpc.simulation.world.population import Met, Stage, population
from keeper_grpc.simulation.world.truth import SITUATIONS, Action, World, actions_for
from keeper_grpc.simulation.world.wordings import TONES

PARAMETERS = Parameters(customers=(3,), days=60)
ACCOUNT = population(PARAMETERS)[0]
SITUATION = SITUATIONS[0]
GOOD, BAD = actions_for(0)[:2]
LATER = 3
"""Days from an insight to its outcome."""


def episode(day: float, **fields: object) -> Episode:
    """An insight of one day that succeeded without the network."""
    met = Met(
        account=ACCOUNT,
        number=int(day),
        day=day,
        situation=SITUATION,
        details={},
        confidence=0.5,
        follows=True,
        luck=0.5,
        outcome_after=LATER,
    )
    plain = Episode(
        met=met,
        action=GOOD,
        tone="warm",
        followed=False,
        chance=0.5,
        own_chance=0.5,
        success=True,
        revenue=100.0,
        retained=True,
    )
    return replace(plain, **fields)  # type: ignore[arg-type] # each test knows its fields


def advised(
    expected: float = 0.7, category: str = ACCOUNT.category, meant: Action = GOOD
) -> Answer:
    """An answer with advice, whose script says GOOD and whose pattern is about `meant`."""
    advice = Advice("p", GOOD, meant, "warm", category, confidence=0.8, expected=expected)
    return Answer("e", advice, "unspecified", held_out=False)


def support(action: Action, category: str, chance: float) -> Support:
    """One outcome counted for a pattern."""
    return Support(action, category, chance, SITUATION, LATER)


HELD_OUT = Answer("e", None, "holdout", held_out=True)
NOTHING = Answer("e", None, "no_patterns", held_out=False)

CHANCES = st.lists(st.sampled_from([0.2, 0.4, 0.6, 0.8, 1.0]), max_size=30)


@given(CHANCES, st.integers(1, 6), st.sampled_from([0.3, 0.5, 0.6]))
def test_an_account_is_reliable_when_its_last_insights_are(
    chances: list[float], window: int, level: float
) -> None:
    """The first day on which all of one window is known and its mean is at least the level."""
    lived = [episode(day, chance=chance) for day, chance in enumerate(chances)]
    expected = None
    for end in range(len(chances)):
        last = chances[max(end - window + 1, 0) : end + 1]
        if len(last) == window and sum(last) >= level * window - 1e-9:
            expected = end + LATER
            break

    assert reliable(level, window)(lived) == expected
    assert begun(level, window)(lived) == (
        None if expected is None else expected - LATER - window + 1
    )
    certain = [episode(day, success=chance == 1.0) for day, chance in enumerate(chances)]
    shown = [episode(day, chance=float(chance == 1.0)) for day, chance in enumerate(chances)]
    assert observed(level, window)(certain) == reliable(level, window)(shown)


@given(st.lists(st.booleans(), max_size=20), st.integers(1, 5))
def test_successes_are_counted_when_they_are_known(won: list[bool], count: int) -> None:
    """The n-th success, on the day of its outcome."""
    days = [day + LATER for day, success in enumerate(won) if success]
    expected = days[count - 1] if len(days) >= count else None

    assert successes(count)([episode(d, success=s) for d, s in enumerate(won)]) == expected


def test_losses_count_against_what_is_earned() -> None:
    """Net revenue, in the order in which it is known."""
    lived = [episode(0, revenue=80.0), episode(1, revenue=-30.0), episode(2, revenue=60.0)]

    assert earned(100)(lived) == 2 + LATER
    assert earned(80)(lived) == LATER
    assert earned(111)(lived) is None


def test_what_is_not_known_yet_is_no_value() -> None:
    """Before its outcome is known a success does not count, and the account is still waited for."""
    lived = [episode(ACCOUNT.joined + 10)]
    day = int(ACCOUNT.joined + 10) + LATER

    assert time_to_value(ACCOUNT, lived, successes(1), day + 1) == Reached(
        day - ACCOUNT.joined, reached=True
    )
    assert time_to_value(ACCOUNT, lived, successes(1), day) == Reached(
        day - ACCOUNT.joined, reached=False
    )


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_the_median_of_those_who_all_arrived_is_the_lower_median(days: list[int]) -> None:
    """Without anyone still waiting, Kaplan and Meier's median is the plain one."""
    middle = sorted(days)[(len(days) - 1) // 2]

    assert median([Reached(day, reached=True) for day in days]) == middle
    if len(days) % 2:
        assert middle == plain_median(days)


def test_those_who_left_early_count_as_long_as_they_were_watched() -> None:
    """The textbook case: each step is the share of those still watched who arrive."""
    times = [
        Reached(1, reached=True),  # 5 of 6 remain: 0.83
        Reached(2, reached=False),
        Reached(3, reached=True),  # 3 of 4 watched: 0.625
        Reached(4, reached=False),
        Reached(5, reached=True),  # 1 of 2 watched: 0.3125
        Reached(6, reached=False),
    ]
    assert median(times) == 5
    assert median(times[:4] + [Reached(9, reached=False)] * 2) is None
    assert median([]) is None


def test_uplift_compares_the_advised_with_the_held_out() -> None:
    """Advice counts whether or not it was followed; questions without advice are in neither arm."""
    lived = [
        episode(1, answer=advised(), followed=True),
        episode(2, answer=advised(), followed=True, success=False),
        episode(3, answer=advised(), success=False),
        episode(4, answer=NOTHING),
        episode(5, answer=HELD_OUT, success=False),
        episode(6, answer=HELD_OUT),
        episode(7, answer=HELD_OUT),
    ]
    uplift = measured_uplift(lived)

    assert (uplift.advised.trials, uplift.advised.successes) == (3, 1)
    assert (uplift.held_out.trials, uplift.held_out.successes) == (3, 2)


def stage_of(episodes: Sequence[Episode]) -> Stage:
    """A stage whose measured part they are."""
    return Stage(3, 0, min(e.asked_day for e in episodes), max(e.asked_day for e in episodes) + 1)


def test_growth_counts_what_was_asked_and_answered() -> None:
    """The held out are in no share of the enhanced; everyone's success is compared with the twin's."""
    world = World(PARAMETERS)
    truth = world.success_rate(ACCOUNT.category, SITUATION, GOOD, "warm")
    other = "gym" if ACCOUNT.category != "gym" else "spa"
    lived = [
        episode(1, answer=advised(0.9), followed=True, chance=0.7, own_chance=0.4),
        episode(2, answer=advised(0.5, other, BAD), success=False),
        episode(3, answer=NOTHING, success=False),
        episode(4, answer=HELD_OUT, success=False),
    ]
    twins = {(e.met.account.number, e.met.number): replace(e, success=True) for e in lived}
    measured = growth(world, stage_of(lived), lived, twins)

    assert measured.questions == 4
    assert measured.enhanced == pytest.approx(2 / 3)
    assert measured.elsewhere == measured.script_differs == 0.5
    assert measured.confidence == pytest.approx(0.8)
    assert (measured.success, measured.success_alone) == (0.25, 1.0)
    assert measured.true_uplift == pytest.approx(0.15)
    assert measured.advised_chance == pytest.approx(truth)
    assert measured.bias == pytest.approx(0.7 - truth)
    assert measured.error == pytest.approx((abs(0.9 - truth) + abs(0.5 - truth)) / 2)
    assert measured.best_chance is not None
    assert measured.best_chance >= truth
    assert measured.best_found == float(world.best_action(ACCOUNT.category, SITUATION) == GOOD)


def test_an_empty_stage_has_no_rates() -> None:
    """Nothing is made up where nothing happened."""
    measured = growth(World(PARAMETERS), Stage(3, 0, 5, 9), [], {})

    assert measured.questions == 0
    assert measured.enhanced is measured.success is measured.own_best is measured.bias is None
    assert measured.uplift.interval == (-1.0, 1.0)


@given(st.lists(st.floats(0.01, 0.99), max_size=20))
def test_calibration_loses_no_advice(promises: list[float]) -> None:
    """Every advice is in one bucket, and a bucket's promise is the mean of its own."""
    lived = [episode(day, answer=advised(each)) for day, each in enumerate(promises)]
    buckets = calibration(World(PARAMETERS), [*lived, episode(99, answer=NOTHING)])

    assert sum(bucket.count for bucket in buckets) == len(promises)
    assert sum(b.expected * b.count for b in buckets) == pytest.approx(sum(promises))
    assert [bucket.expected for bucket in buckets] == sorted(bucket.expected for bucket in buckets)


def pattern(pattern_id: str, successes: int, trials: int, bound: float, tone: str) -> Pattern:
    """A published pattern with a proven script in a tone."""
    published = Pattern(pattern_id=pattern_id)
    published.evidence.success_rate = successes / trials
    published.evidence.lower_bound = bound
    if tone:
        published.proven_script = script(GOOD, "spa", tone)
    return published


def test_knowledge_is_held_against_what_was_really_done() -> None:
    """One pattern with an outcome of another action in it, a second one of the same action."""
    world = World(PARAMETERS)
    best = world.best_tone(GOOD)
    worst = next(tone for tone in TONES if tone != best)
    snapshot = Snapshot(
        published=[pattern("p", 3, 4, 0.4, best), pattern("q", 1, 2, 0.6, worst)],
        meaning={"p": GOOD, "q": GOOD, "r": BAD},
        support={
            "p": [support(GOOD, "spa", 0.6), support(GOOD, "spa", 0.6), support(BAD, "spa", 0.3)],
            "q": [support(GOOD, "spa", 0.5)],
            "r": [support(BAD, "gym", 0.5)],
        },
        metrics=NetworkMetrics(),
        kpis=(),
    )
    known = knowledge(world, snapshot)

    assert (known.tried, known.patterns, known.found, known.published) == (3, 3, 2, 2)
    assert known.misplaced == pytest.approx(1 / 5)
    assert known.rate_error == pytest.approx((abs(0.75 - 0.5) + 0) / 2)
    assert known.bound_holds == 0.5
    assert (known.scripts, known.best_script) == (2, 0.5)


def test_an_empty_network_knows_nothing() -> None:
    """Nothing is made up where nothing is known."""
    empty = Snapshot((), {}, {}, NetworkMetrics(), ())
    known = knowledge(World(PARAMETERS), empty)

    assert (known.tried, known.patterns, known.found, known.scripts) == (0, 0, 0, 0)
    assert known.misplaced is known.rate_error is known.bound_holds is known.best_script is None


def test_worlds_are_pooled_account_by_account() -> None:
    """The median of all accounts together, not the mean of two medians."""
    one = Value([Reached(1, reached=True)] * 3, [Reached(10, reached=True)] * 3, 400)
    other = Value([Reached(5, reached=True)], [Reached(90, reached=False)], 90)
    together = one.pooled(other)
    assert (together.networked, together.alone, together.watched) == (1, 10, 90)
    assert together.acceleration == 10
