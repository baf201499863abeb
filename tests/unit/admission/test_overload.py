from __future__ import annotations

from functools import cache

import pytest

from keeper_grpc.admission.kinds import Kind
from tests.unit.admission.machine import Cost, Machine

QUESTION = Cost(processor=0.008, elsewhere=0.004)
CAPTURE = Cost(processor=0.003, elsewhere=0.012)
GROUPED = Cost(processor=0.003, elsewhere=0.001, group=0.010)
"""Captures as they are: those that come while a group is written are the next one."""
SLOW = Cost(processor=0.025, elsewhere=0.010)
COSTS = [QUESTION, CAPTURE, GROUPED, SLOW]
CALLERS = (16, 64, 128)
"""Who keep the machine busy and wait for their answers."""


def measured(cost: Cost) -> Machine:
    """A machine whose gate has seen what a call takes alone."""
    machine = Machine(cost)
    machine.callers(1)
    machine.run(3.0)
    return machine


@cache
def capacity(cost: Cost) -> float:
    """The most calls a second that callers who wait for their answers get done."""
    done = []
    for callers in CALLERS:
        machine = measured(cost)
        machine.callers(callers - 1)
        machine.run(2.0)
        done.append(len(machine.run(6.0).took) / 6.0)
    return max(done)


@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("times", [2, 5, 10])
async def test_an_overload_leaves_those_admitted_quick_and_the_machine_busy(
    cost: Cost, times: int
) -> None:
    """At most three times what one caller alone waits, and nine tenths of what refusals leave of the machine is used."""
    machine, most = measured(cost), capacity(cost)
    machine.arrivals(times * most)
    machine.run(max(4.0, 150 * cost.alone))
    seen = machine.run(6.0)
    left = 1 - (times - 1) * most * cost.refusal
    assert seen.p50 <= 3 * cost.alone
    assert len(seen.took) / 6.0 >= 0.9 * left * most
    assert max(seen.refused) <= 10 * cost.alone


@pytest.mark.parametrize("cost", COSTS, ids=str)
async def test_at_just_the_capacity_nearly_all_is_done(cost: Cost) -> None:
    """Whether the gate takes it for an overload or not."""
    machine, most = measured(cost), capacity(cost)
    machine.arrivals(most)
    machine.run(4.0)
    for _ in range(5):
        assert len(machine.run(6.0).took) / 6.0 >= 0.85 * most


@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("callers", CALLERS)
async def test_callers_that_wait_for_their_answers_lose_nothing(cost: Cost, callers: int) -> None:
    """They keep the machine as busy as it can be, and none is refused, whether they come at once or one after another."""
    for pause in (0.0, 4 * cost.alone):
        machine = measured(cost)
        for _ in range(callers - 1):
            machine.callers(1)
            if pause:
                assert machine.run(pause).refused == []
        assert machine.run(10.0).refused == []


@pytest.mark.parametrize("cost", COSTS, ids=str)
@pytest.mark.parametrize("callers", CALLERS)
async def test_an_overload_that_ends_leaves_callers_that_wait_alone(
    cost: Cost, callers: int
) -> None:
    """Half a minute after it none of them is refused any more, though all that were came again and again."""
    machine = measured(cost)
    machine.callers(callers - 1)
    machine.arrivals(5 * capacity(cost), seconds=6.0)
    machine.run(6.0)
    assert machine.gate.under_pressure(Kind.QUESTION)
    machine.run(30.0)
    assert machine.run(6.0).refused == []
