from __future__ import annotations

import pytest

from tests.unit.admission.machine import Cost, Machine

QUESTION = Cost(processor=0.008, elsewhere=0.004)
CAPTURE = Cost(processor=0.003, elsewhere=0.012)
SLOW = Cost(processor=0.025, elsewhere=0.010)
SOME = 16
"""Callers that keep the machine busy and wait for their answers."""


def measured(cost: Cost) -> Machine:
    """A machine whose gate has seen what a call takes alone."""
    machine = Machine(cost)
    machine.callers(1)
    machine.run(3.0)
    return machine


def capacity(cost: Cost) -> float:
    """Calls a second that callers who wait for their answers get done."""
    machine = measured(cost)
    machine.callers(SOME - 1)
    machine.run(2.0)
    return len(machine.run(6.0).took) / 6.0


@pytest.mark.parametrize(
    ("cost", "times"),
    [(QUESTION, 2), (QUESTION, 5), (SLOW, 2), (SLOW, 5), (CAPTURE, 2)],
    ids=str,
)
async def test_an_overload_leaves_those_admitted_quick_and_the_machine_busy(
    cost: Cost, times: int
) -> None:
    """At most three times what one caller alone waits, and four fifths of what can be done is done."""
    machine = measured(cost)
    machine.arrivals(times * capacity(cost))
    machine.run(max(4.0, 150 * cost.alone))
    seen = machine.run(6.0)
    assert seen.p50 <= 3 * cost.alone
    assert len(seen.took) / 6.0 >= 0.8 * capacity(cost)
    assert max(seen.refused) <= 10 * cost.alone


async def test_refusing_costs_what_it_costs() -> None:
    """Quick calls at five times the capacity: a good third of the processor sends others away, and the rest is used."""
    machine = measured(CAPTURE)
    offered = 5 * capacity(CAPTURE)
    machine.arrivals(offered)
    machine.run(4.0)
    seen = machine.run(6.0)
    left = 1 - offered * CAPTURE.refusal
    assert seen.p50 <= 3 * CAPTURE.alone
    assert len(seen.took) / 6.0 >= 0.8 * left * capacity(CAPTURE)


@pytest.mark.parametrize("cost", [QUESTION, CAPTURE, SLOW], ids=str)
@pytest.mark.parametrize("callers", [SOME, 4 * SOME])
async def test_callers_that_wait_for_their_answers_lose_nothing(cost: Cost, callers: int) -> None:
    """They keep the machine as busy as it can be, and none is refused."""
    machine = measured(cost)
    machine.callers(callers - 1)
    seen = machine.run(10.0)
    assert seen.refused == []
