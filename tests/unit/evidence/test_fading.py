from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.evidence.evidence import recency_weight
from keeper_grpc.domain.evidence.fading import FAST, SLOW, Course, fades, fell

K = 3
START = datetime(2026, 1, 5, tzinfo=UTC)

Outcomes = Sequence[tuple[float, bool]]
"""Of one owner: the day and whether it succeeded."""


@cache
def weight(day: float, half_life: timedelta) -> float:
    """What an outcome of a day weighs; asked again for each day that is looked back from."""
    return recency_weight(START + timedelta(days=day), half_life)


def course(outcomes: Outcomes, today: float) -> Course:
    """The moving averages of these outcomes as they are on a day."""

    def weighed(half_life: timedelta, counted: Iterable[float]) -> float:
        return sum(weight(day, half_life) for day in counted) / weight(today, half_life)

    return Course(
        weighed(FAST, (day for day, _ in outcomes)),
        weighed(FAST, (day for day, success in outcomes if success)),
        weighed(SLOW, (day for day, _ in outcomes)),
        weighed(SLOW, (day for day, success in outcomes if success)),
    )


def fading(owners: Iterable[Outcomes], today: float) -> bool:
    """Whether a pattern of these outcomes fades on a day."""
    return fades([course(outcomes, today) for outcomes in owners if outcomes], K)


def play(
    chance: Callable[[float], float], days: int, *, a_day: float, owners: int, draw: Random
) -> list[list[tuple[float, bool]]]:
    """Outcomes by owner of a pattern that works with a chance that depends on the day."""
    played: list[list[tuple[float, bool]]] = [[] for _ in range(owners)]
    day = draw.expovariate(a_day)
    while day < days:
        draw.choice(played).append((day, draw.random() < chance(day)))
        day += draw.expovariate(a_day)
    return played


def until(played: Sequence[Outcomes], day: float) -> list[list[tuple[float, bool]]]:
    """What is known by the end of a day."""
    return [[each for each in own if each[0] <= day] for own in played]


def delay(seed: int, *, works: float, a_day: float, reversal: int = 120) -> int:
    """Days from the reversal until the pattern fades; more than 60 for never."""
    played = play(
        lambda day: works if day < reversal else 1 - works,
        reversal + 60,
        a_day=a_day,
        owners=20,
        draw=Random(seed),  # noqa: S311 - repeatable, not secret
    )
    fades_on = (day for day in range(reversal, reversal + 60) if fading(until(played, day), day))
    return next(fades_on, reversal + 61) - reversal


def test_a_reversal_is_found_within_21_days() -> None:
    """Of a pattern with two outcomes a day, and long before its average says so, nine times of ten."""
    late = [seed for seed in range(60) if delay(seed, works=0.8, a_day=2) > 21]
    assert len(late) <= 6


def test_the_more_outcomes_the_sooner() -> None:
    """With five a day within two weeks, nearly always."""
    assert sum(delay(seed, works=0.8, a_day=5) > 14 for seed in range(40)) <= 2


def test_a_pattern_that_goes_on_working_gives_less_than_one_false_alarm_in_a_year() -> None:
    """On average over patterns of few and of many outcomes: less than one in three years."""
    alarms = 0
    years = 24
    for seed in range(years):
        draw = Random(seed)  # noqa: S311 - repeatable, not secret
        works, a_day = draw.uniform(0.6, 0.95), draw.choice([0.5, 1, 3, 8])
        played = play(lambda _, works=works: works, 365, a_day=a_day, owners=15, draw=draw)  # type: ignore[misc]
        before = False
        for day in range(30, 365):
            now = fading(until(played, day), day)
            alarms += now and not before
            before = now
    assert alarms <= years / 3


@pytest.mark.parametrize("works", [0.0, 0.02, 0.1])
def test_a_pattern_that_seldom_works_does_not_fade_while_it_is_young(works: float) -> None:
    """Nothing earlier promised anything that its first outcomes, failures mostly, could break."""
    for seed in range(6):
        draw = Random(seed)  # noqa: S311 - repeatable, not secret
        played = play(lambda _: works, 40, a_day=20, owners=12, draw=draw)
        assert not any(fading(until(played, day), day) for day in range(40))


def test_it_ends_when_the_pattern_recovers() -> None:
    """Works for 100 days, fails for 25, works again."""
    draw = Random(5)  # noqa: S311 - repeatable, not secret
    played = play(lambda day: 0.1 if 100 <= day < 125 else 0.9, 200, a_day=4, owners=12, draw=draw)
    assert not fading(until(played, 99), 99)
    assert fading(until(played, 120), 120)
    assert not fading(until(played, 150), 150)


def test_it_ends_when_the_average_has_caught_up() -> None:
    """A pattern that has failed for long says so by its rate."""
    draw = Random(6)  # noqa: S311 - repeatable, not secret
    played = play(lambda day: 0.9 if day < 100 else 0.1, 400, a_day=3, owners=12, draw=draw)
    assert fading(until(played, 125), 125)
    assert not fading(until(played, 399), 399)


owner_outcomes = st.lists(
    st.tuples(st.integers(0, 120).map(float), st.booleans()), min_size=1, max_size=12
)
steady_owners = st.lists(
    st.tuples(st.integers(2, 9), st.integers(1, 6), st.integers(0, 5)), min_size=4, max_size=10
)
"""Of each: one outcome of so many fails, it has one every so many days, and begins on this day."""


@settings(max_examples=150)
@given(
    steady_owners,
    st.lists(st.tuples(st.integers(0, 120).map(float), st.booleans()), max_size=300),
    st.integers(0, 200),
)
def test_one_owner_cannot_make_a_pattern_fade(
    steady: list[tuple[int, int, int]], attacks: list[tuple[float, bool]], last: int
) -> None:
    """Whatever it reports, and however often it fails on the last day: only where the others' outcomes fell."""
    honest = [
        [(float(day), number % fails != 0) for number, day in enumerate(range(begin, 121, every))]
        for fails, every, begin in steady
    ]
    if fading([*honest, [*attacks, *[(120.0, False)] * last]], 120):
        assert fell([course(own, 120) for own in honest if own], K)


def test_the_failures_of_one_owner_are_not_enough_however_many() -> None:
    """Of ten owners that go on succeeding, and one that fails a thousand times."""
    draw = Random(7)  # noqa: S311 - repeatable, not secret
    honest = play(lambda _: 0.85, 120, a_day=3, owners=10, draw=draw)
    attacker = [(119 - number % 15, False) for number in range(1000)]
    assert not fading([*honest, attacker], 119)


def test_the_successes_of_one_owner_do_not_keep_it_from_fading() -> None:
    """Who says that it works still is one of many."""
    draw = Random(8)  # noqa: S311 - repeatable, not secret
    honest = play(lambda day: 0.9 if day < 100 else 0.05, 120, a_day=4, owners=10, draw=draw)
    assert fading(honest, 119)
    friend = [(119.0 - number % 15, True) for number in range(1000)]
    assert fading([*honest, friend], 119)


@given(st.lists(owner_outcomes, max_size=2))
def test_of_fewer_than_k_owners_it_says_nothing(
    owners: list[list[tuple[float, bool]]],
) -> None:
    """As everything that is shown."""
    assert not fading(owners, 120)


@settings(max_examples=60)
@given(st.lists(owner_outcomes, min_size=3, max_size=6), st.randoms(use_true_random=False))
def test_neither_the_order_of_arrival_nor_of_owners_matters(
    owners: list[list[tuple[float, bool]]], draw: Random
) -> None:
    """Sums of a shuffled ledger are the same."""
    said = fading(owners, 120)
    for own in owners:
        draw.shuffle(own)
    draw.shuffle(owners)
    assert fading(owners, 120) == said


def test_silence_says_nothing() -> None:
    """No outcome for a year is no failure."""
    steady = [[(float(day), True) for day in range(60)] for _ in range(5)]
    assert not fading(steady, 400)
