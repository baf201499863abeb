from __future__ import annotations

from keeper_grpc.admission.pressure import CALM_ROUNDS, FEW, MANY, MOST_ROUNDS, Pressure, Round

SOON = 6
"""Rounds after which a clear overload is known."""


def after(*rounds: Round) -> Pressure:
    """The pressure after these rounds."""
    pressure = Pressure()
    for each in rounds:
        pressure.close(each)
    return pressure


def test_far_more_than_can_be_done_is_pressure_soon() -> None:
    """After a few rounds, each of which brought more."""
    overload = Round(offered=50, done=10, refused=0, backlog=MANY + 1)
    assert not after(*[overload] * (SOON - 1)).on
    pressure = after(*[overload] * SOON)
    assert pressure.on
    assert pressure.ratio == 5.0


def test_a_burst_is_no_pressure() -> None:
    """What came in one round is worked off in the next ones."""
    worked_off = [Round(0, 10, 0, left) for left in range(990, 0, -10)]
    assert not after(Round(1_000, 10, 0, 990), *worked_off).on


def test_an_overload_that_is_done_in_fits_is_pressure_too() -> None:
    """A machine that does nothing for a moment and then much has the same rate."""
    idle, busy = Round(50, 0, 0, MANY + 50), Round(50, 40, 0, MANY + 10)
    assert after(*[busy, idle] * (SOON // 2)).on


def test_a_queue_that_stays_full_is_no_pressure() -> None:
    """Callers that wait for their answers bring as much as is done."""
    assert not after(*[Round(10, 10, 0, 80)] * 100).on


def test_answers_on_their_way_are_no_pressure() -> None:
    """Sixty-four callers where six calls are done in a round: for a while more ask again than are answered, then fewer."""
    growing = [Round(8, 6, 0, backlog) for backlog in range(54, 66, 2)]
    waning = [Round(4, 6, 0, backlog) for backlog in range(62, 50, -2)]
    pressure = Pressure()
    for each in (growing + waning) * 10:
        pressure.close(each)
        assert not pressure.on


def test_callers_that_become_more_are_no_pressure() -> None:
    """A hundred and twenty-eight who come one after another to a machine that hardly gets on."""
    joining = [Round(10, 2, 0, 8 * (1 + number)) for number in range(MANY // 8)]
    assert not after(*joining, *[Round(2, 2, 0, MANY)] * MOST_ROUNDS).on


def test_callers_that_do_not_wait_are_pressure_with_any_backlog() -> None:
    """Those who give up, and those whose turns would come too late, leave no queue behind."""
    for lost in ({"given_up": 8, "refused": 0}, {"given_up": 0, "refused": 8}):
        assert after(*[Round(offered=20, done=10, backlog=FEW + 1, **lost)] * SOON).on


def test_a_little_more_than_can_be_done_is_pressure_in_the_end() -> None:
    """The queue would only grow."""
    rounds = [Round(11, 10, 0, MANY + left) for left in range(1, MOST_ROUNDS + 1)]
    assert not after(*rounds[:-1]).on
    assert after(*rounds).on


def test_pressure_ends_when_nothing_was_refused_for_a_while() -> None:
    """A single calm round is chance."""
    overload, calm = Round(50, 10, 40, 40), Round(10, 10, 0, 0)
    pressure = after(*[overload] * SOON)
    for _ in range(CALM_ROUNDS - 1):
        pressure.close(calm)
        assert pressure.on
    pressure.close(calm)
    assert not pressure.on


def test_pressure_ends_when_no_more_comes_than_was_done_before() -> None:
    """Under it less is done, and those who are refused come again: that alone must not keep it up."""
    overload = Round(offered=100, done=50, refused=0, backlog=400)
    pressure = after(*[overload] * SOON)
    for _ in range(2 * CALM_ROUNDS):
        pressure.close(Round(offered=60, done=20, refused=40, backlog=5))
    assert pressure.on
    for _ in range(CALM_ROUNDS):
        pressure.close(Round(offered=45, done=20, refused=25, backlog=5))
    assert not pressure.on
