from __future__ import annotations

from keeper_grpc.admission.limit import ALONE_KEPT, FEWEST, FIRST, TOLERANCE, AdaptiveLimit


def seen(
    limit: AdaptiveLimit, ratio: float, times: int = FEWEST, at_once: float | None = None
) -> None:
    """Work that took so many times what it takes alone, beside as much as may be unless that is said."""
    for _ in range(times):
        limit.in_company("work", ratio * 0.01, limit.value if at_once is None else at_once)


def measured() -> AdaptiveLimit:
    """A limit that knows what work takes alone."""
    limit = AdaptiveLimit()
    limit.alone("work", 0.01)
    return limit


def test_however_slow_work_is_three_may_be_in_progress() -> None:
    """By each other they are at most three times as slow: fewer would not remove another cause, and leave the process idle."""
    limit = measured()
    for _ in range(20):
        seen(limit, 50.0)
        limit.adapt(wanted=True)
    assert limit.value == 3


def test_quick_work_raises_the_limit_where_more_is_wanted() -> None:
    """Without demand it says nothing about what more would do."""
    limit = measured()
    seen(limit, 1.0)
    limit.adapt(wanted=False)
    assert limit.value == int(FIRST)
    for _ in range(10):
        seen(limit, 1.0)
        limit.adapt(wanted=True)
    assert limit.value > FIRST


def test_the_limit_is_what_makes_work_as_slow_as_it_may_be() -> None:
    """Where each piece takes as many times longer as there are, whatever was in progress before."""
    for before in (2, 8, 32):
        limit = measured()
        seen(limit, ratio=before, at_once=before)
        for _ in range(20):
            limit.adapt(wanted=True)
            seen(limit, ratio=limit.value)
        assert abs(limit.value - TOLERANCE) < 1


def test_a_limit_that_is_reached_now_and_then_is_that_of_how_slow_work_is_mostly() -> None:
    """Calls that come by chance at just what can be done: half of the time half as many are in progress."""
    limit = measured()
    for _ in range(20):
        seen(limit, ratio=limit.value / 2, at_once=limit.value / 2)
        limit.adapt(wanted=True)
    assert abs(limit.value - 2 * TOLERANCE) <= 1


def test_a_few_durations_move_nothing() -> None:
    """They are kept for the next time."""
    limit = measured()
    seen(limit, 50.0, FEWEST - 1)
    limit.adapt(wanted=True)
    assert limit.value == int(FIRST)
    seen(limit, 50.0, 1)
    limit.adapt(wanted=True)
    assert limit.value < FIRST


def test_what_was_never_seen_alone_says_nothing() -> None:
    """There is nothing to compare with."""
    limit = AdaptiveLimit()
    for _ in range(FEWEST):
        limit.in_company("work", 9.0, 4)
    limit.adapt(wanted=True)
    assert limit.value == int(FIRST)
    assert limit.quiet("work") is None


def test_what_work_takes_beside_refusals_makes_no_longer_time_alone() -> None:
    """An overload would make what it slows down the measure of how slow it may be."""
    limit = measured()
    for _ in range(ALONE_KEPT):
        limit.alone("work", 0.05, disturbed=True)
    assert limit.quiet("work") == 0.01
    assert limit.longest_quiet() == 0.01


def test_work_that_is_quicker_beside_refusals_is_quick() -> None:
    """The times from before were of a process that had just started. One that is seen undisturbed counts again."""
    limit = measured()
    for _ in range(ALONE_KEPT):
        limit.alone("work", 0.005, disturbed=True)
    assert limit.quiet("work") == 0.005
    limit.alone("work", 0.01)
    assert limit.quiet("work") == 0.01


def test_work_that_was_only_seen_beside_refusals_is_measured_by_that() -> None:
    """A process that starts in an overload has nothing better."""
    limit = AdaptiveLimit()
    limit.alone("work", 0.05, disturbed=True)
    assert limit.quiet("work") == limit.longest_quiet() == 0.05


def test_a_slower_machine_is_noticed() -> None:
    """What work takes alone is that of the last times."""
    limit = measured()
    for _ in range(9):
        limit.alone("work", 0.04)
    assert limit.quiet("work") == 0.04
    assert limit.longest_quiet() == 0.04
