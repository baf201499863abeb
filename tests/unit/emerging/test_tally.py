from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.emerging.tally import Fact, Tally

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
WEEK = timedelta(days=7)

facts = st.builds(
    Fact,
    owner_key=st.sampled_from("abcd"),
    business_category=st.sampled_from(["gym", "salon", "spa"]),
    confidence=st.sampled_from([0.0, 0.1, 0.25, 0.7, 1.0]),
    potential_value=st.sampled_from([-20.0, 0.0, 0.1, 19.99, 500.0]),
    seen_time=st.integers(0, 7 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes)),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 12), facts),
        st.tuples(st.just("remove"), st.integers(0, 12), facts),
    ),
    max_size=80,
)


def seen(hours_ago: Iterable[float]) -> Tally:
    """A tally of sightings so many hours ago."""
    tally = Tally()
    for number, hours in enumerate(hours_ago):
        tally.add(number, Fact("a", "spa", 0.5, 1.0, NOW - timedelta(hours=hours)))
    return tally


def newest_of_accounts(kept: dict[int, Fact]) -> list[int]:
    """The last sighting of each account, the last of all first, by brute force."""
    order = sorted(kept, key=lambda key: (kept[key].seen_time, key), reverse=True)
    accounts = dict.fromkeys(kept[key].owner_key for key in order)
    return [next(key for key in order if kept[key].owner_key == name) for name in accounts]


@given(steps)
def test_counts_equal_a_recount(
    sequence: list[tuple[str, int, Fact]],
) -> None:
    """After any sequence of new, renewed and expired sightings, exactly."""
    tally = Tally()
    kept: dict[int, Fact] = {}
    for action, sighting_id, fact in sequence:
        if action == "add":
            tally.add(sighting_id, fact)
            kept[sighting_id] = fact
        elif sighting_id in kept:
            assert tally.remove(sighting_id) == kept.pop(sighting_id)
        anew = Tally()
        for key, value in kept.items():
            anew.add(key, value)
        assert len(tally) == len(kept)
        assert tally.account_count == len({fact.owner_key for fact in kept.values()})
        for least in (1, 2):
            assert tally.categories_of(least) == tuple(
                name
                for name in ("gym", "salon", "spa")
                if len({f.owner_key for f in kept.values() if f.business_category == name}) >= least
            )
        assert tally.mean_confidence == anew.mean_confidence
        assert tally.total_potential_value == anew.total_potential_value
        assert tally.total_potential_value == pytest.approx(
            sum(fact.potential_value for fact in kept.values())
        )
        assert tally.growth_rate(NOW, WEEK) == anew.growth_rate(NOW, WEEK)
        assert tally.heard(3) == newest_of_accounts(kept)[:3]
        if kept:
            times = [fact.seen_time for fact in kept.values()]
            assert (tally.first_seen_time, tally.last_seen_time) == (min(times), max(times))
            assert tally.mean_confidence == pytest.approx(
                sum(fact.confidence for fact in kept.values()) / len(kept)
            )


@given(st.lists(facts), st.sampled_from([timedelta(hours=3), timedelta(days=1), WEEK]))
def test_growth_is_bounded(some: list[Fact], window: timedelta) -> None:
    """Whatever was seen when, growth is in [-1, 1]."""
    tally = Tally()
    for number, fact in enumerate(some):
        tally.add(number, fact)
    assert -1 <= tally.growth_rate(NOW, window) <= 1


@pytest.mark.parametrize(
    ("hours_ago", "growth"),
    [
        ([1, 2, 3], 1.0),
        ([1, 2, 30, 54, 78, 102, 126, 150], 0.5),
        ([1, 30, 54, 78, 102, 126, 150], 0.0),
        ([1, 30, 31, 54, 55, 78, 79, 102, 103, 126, 127, 150, 151], -0.5),
        ([30, 54], -1.0),
        ([], 0.0),
    ],
)
def test_growth_compares_the_last_day_with_the_days_before(
    hours_ago: list[float], growth: float
) -> None:
    """New is 1, doubled 0.5, steady 0, halved -0.5, ceased -1."""
    assert seen(hours_ago).growth_rate(NOW, WEEK) == pytest.approx(growth)


def test_a_window_of_a_day_has_no_growth() -> None:
    """There is nothing to compare with."""
    assert seen([1, 2]).growth_rate(NOW, timedelta(days=1)) == 0


def test_a_hot_loop_of_renewals_leaves_no_garbage() -> None:
    """An account that shows the same again and again counts once and takes the room of one."""
    tally = seen([5])
    for minute in range(10_000):
        tally.add(0, Fact("a", "spa", 0.5, 1.0, NOW + timedelta(minutes=minute)))
    assert len(tally) == 1
    assert tally.total_potential_value == 1
    assert tally.first_seen_time == tally.last_seen_time == NOW + timedelta(minutes=9999)
    assert len(tally._oldest) < 100
