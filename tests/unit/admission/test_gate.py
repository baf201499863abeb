from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from keeper_grpc.admission import gate as gates
from keeper_grpc.admission.kinds import Kind, lanes
from keeper_grpc.admission.shed import Reason, Shed
from tests.unit.admission.crowd import Crowd, begun, refusal

LANES = lanes()


async def test_work_of_an_idle_process_begins_at_once() -> None:
    """As much as callers that wait for their answers bring, and nothing of it waits."""
    crowd = Crowd()
    turns, refusals = crowd.offered(LANES[Kind.QUESTION].at_most)
    assert all(map(begun, turns))
    assert (refusals, crowd.waits) == ([], [])


async def test_the_shortest_deadline_is_the_first() -> None:
    """What waits begins by its deadline; of two with one deadline, by its arrival."""
    crowd = Crowd()
    running, _ = crowd.offered(LANES[Kind.QUESTION].at_most)
    late, soon, later, as_late = (
        crowd.offer(seconds=seconds) for seconds in (20.0, 5.0, 25.0, 20.0)
    )
    order = []
    for turn in running[:4]:
        crowd.gate.leave(turn)
        order += [
            each for each in (late, soon, later, as_late) if begun(each) and each not in order
        ]
    assert order == [soon, late, as_late, later]


async def test_a_burst_is_worked_off_however_long_it_takes() -> None:
    """A thousand pieces that come at once are no overload, also on a machine that takes a minute for them."""
    crowd = Crowd()
    left, refusals = crowd.offered(1_000)
    while left:
        waiting = crowd.serve(left, 4.0)
        crowd.gate.look()
        left = waiting
        for turn in left:
            turn.deadline = crowd.now + 30.0
    assert refusals == []
    assert crowd.gate.admitted(Kind.QUESTION) == 1_000


async def test_callers_that_wait_for_their_answers_are_never_refused() -> None:
    """More of them than may be in progress keep the queue full for a long time, and lose nothing."""
    crowd = Crowd()
    crowd.alone(0.01)
    callers, refusals = crowd.offered(100)
    for _ in range(300):
        crowd.now += 0.1
        for turn in [each for each in callers if begun(each)]:
            crowd.gate.leave(turn)
            callers.remove(turn)
            again, more = crowd.offered(1)
            callers += again
            refusals += more
        crowd.gate.look()
    assert refusals == []
    assert not crowd.gate.under_pressure(Kind.QUESTION)


async def test_an_overload_is_refused_early_and_those_admitted_do_not_wait() -> None:
    """At five times what can be done, nothing waits and four fifths are refused, with a time to come back."""
    crowd = Crowd()
    crowd.alone(0.01)
    left = crowd.overload(50, 5, rounds=12)
    assert crowd.gate.under_pressure(Kind.QUESTION)
    assert crowd.gate.waiting(Kind.QUESTION) <= crowd.gate.limit
    crowd.waits.clear()
    before = crowd.gate.admitted(Kind.QUESTION)
    crowd.overload(50, 5, rounds=4, turns=left)
    served = crowd.gate.admitted(Kind.QUESTION) - before
    assert 190 <= served <= 210
    assert crowd.waits == []
    assert crowd.gate.running(Kind.QUESTION) <= crowd.gate.limit + 1
    _, refusals = crowd.offered(20)
    assert {shed.reason for shed in refusals} == {Reason.OVERLOAD}
    assert all(0.5 <= shed.retry_after <= 15 for shed in refusals)


async def test_what_waits_ahead_of_the_gate_tells_of_an_overload() -> None:
    """A busy event loop takes up no more than it can do: what comes beyond is nowhere else to be seen."""

    def taken_up(crowd: Crowd, more_ahead: int) -> bool:
        crowd.alone(0.01)
        for _ in range(12):
            crowd.overload(50, 1, rounds=1)
            crowd.ahead += more_ahead
        return crowd.gate.under_pressure(Kind.QUESTION)

    assert taken_up(Crowd(), 50)
    assert not taken_up(Crowd(), 0)
    # Calls that gRPC gave up itself stay in its figure for ever.
    steady = Crowd()
    steady.ahead = 1_000
    assert not taken_up(steady, 0)


async def test_an_overload_that_ends_is_forgotten() -> None:
    """Some rounds after the last refusal as much may be in progress as before."""
    crowd = Crowd()
    crowd.alone(0.01)
    left = crowd.overload(50, 5, rounds=12)
    while left:
        left = crowd.serve(left, 0.01)
    crowd.overload(50, 1, rounds=12)
    assert not crowd.gate.under_pressure(Kind.QUESTION)
    turns, refusals = crowd.offered(LANES[Kind.QUESTION].at_most)
    assert refusals == []
    assert all(map(begun, turns))


async def test_under_pressure_nothing_waits() -> None:
    """What cannot begin is refused at once, however long it could wait."""
    crowd = Crowd()
    crowd.alone(0.01)
    crowd.overload(50, 5, rounds=12)
    turns, refusals = crowd.offered(20)
    assert all(map(begun, turns))
    assert refusals
    assert crowd.gate.waiting(Kind.QUESTION) == 0


async def test_the_limit_is_what_keeps_work_nearly_as_quick_as_alone() -> None:
    """Where two at once take twice as long each, fewer are let in than where they do not disturb each other."""

    def loaded(slower: float) -> int:
        crowd = Crowd()
        crowd.alone(0.01)
        turns = crowd.overload(50, 5, rounds=8)
        for _ in range(60):
            turns += crowd.offered(40)[0]
            while turns:
                running = crowd.gate.running(Kind.QUESTION)
                turns = crowd.serve(turns, 0.01 * (1 + slower * (running - 1)))
            crowd.now += 0.2
            crowd.gate.look()
        return crowd.gate.limit

    assert loaded(1.0) <= 3
    assert loaded(0.05) >= 8


async def test_streams_yield_to_other_work() -> None:
    """Streams use what is free while they are alone, and keep to the limit beside a single caller."""
    crowd = Crowd()
    crowd.now += gates.OTHERS_LAST
    streams, _ = crowd.offered(40, Kind.STREAM_QUESTION)
    assert sum(map(begun, streams)) == LANES[Kind.STREAM_QUESTION].at_most
    streams = crowd.serve(streams, 0.1)
    caller = crowd.offer()
    assert begun(caller)
    streams = crowd.serve(streams, 0.1)
    assert crowd.gate.running(Kind.STREAM_QUESTION) < crowd.gate.limit
    crowd.gate.leave(caller)
    # The caller will be back: the streams do not take its place in between.
    assert crowd.gate.running(Kind.STREAM_QUESTION) <= crowd.gate.limit


async def test_streams_take_no_more_than_their_share_where_work_is_slow() -> None:
    """One caller's call has one question of streams beside it, however many may be in progress before any is refused."""
    crowd = Crowd()
    crowd.alone(0.01)
    for _ in range(40):
        turns = [crowd.offer(), *crowd.offered(8, Kind.STREAM_QUESTION)[0]]
        while turns:
            running = sum(map(begun, turns))
            turns = crowd.serve(turns, 0.01 * running**2)
        crowd.gate.look()
    assert crowd.gate.limit == 3
    crowd.offer()
    crowd.offered(8, Kind.STREAM_QUESTION)
    assert crowd.gate.running(Kind.STREAM_QUESTION) == 1


async def test_streams_go_on_beside_any_number_of_callers() -> None:
    """Their share is a part of what others have in progress, and never nothing."""
    crowd = Crowd()
    callers, _ = crowd.offered(40)
    streams, _ = crowd.offered(100, Kind.STREAM_QUESTION)
    assert 1 <= sum(map(begun, streams)) <= len(callers) // gates.STREAMS_SHARE
    for turn in callers:
        crowd.gate.leave(turn)
    assert crowd.gate.running(Kind.STREAM_QUESTION) >= 1


async def test_streams_are_not_refused_for_pressure() -> None:
    """A question of a stream waits, because its stream reads no further meanwhile."""
    crowd = Crowd()
    crowd.alone(0.01)
    crowd.overload(50, 5, rounds=12)
    streams, refusals = crowd.offered(100, Kind.STREAM_QUESTION)
    assert refusals == []
    assert any(map(begun, streams))


async def test_no_kind_waits_behind_another() -> None:
    """While questions are overloaded and a report hangs, writes, reads and operators' calls begin."""
    crowd = Crowd()
    crowd.alone(0.01)
    crowd.offer(Kind.REPORT)
    crowd.overload(50, 5, rounds=12)
    for kind in (Kind.WRITE, Kind.READ, Kind.OPERATION):
        assert begun(crowd.offer(kind)), kind


async def test_what_has_no_time_left_is_not_begun() -> None:
    """Its caller gets the refusal at its deadline, and the others move up."""
    crowd = Crowd()
    (running,), _ = crowd.offered(1, Kind.REPORT)
    short, long = crowd.offer(Kind.REPORT, seconds=1.0), crowd.offer(Kind.REPORT, seconds=30.0)
    crowd.now += 2.0
    crowd.gate.look()
    error = await refusal(short)
    assert isinstance(error, Shed)
    assert error.reason is Reason.LATE
    crowd.gate.leave(short)
    crowd.gate.leave(running)
    assert begun(long)


async def test_what_cannot_have_its_turn_in_time_is_refused_at_once() -> None:
    """By how many began in a second of late, its turn would come too late."""
    crowd = Crowd()
    turns, _ = crowd.offered(600)
    waiting = crowd.serve(turns, 1.0)
    crowd.gate.look()
    with pytest.raises(Shed) as shed:
        crowd.offer(seconds=len(waiting) / 1_000)
    assert shed.value.reason is Reason.LATE
    assert not begun(crowd.offer(seconds=100.0))


async def test_a_queue_has_an_end() -> None:
    """Beyond what may wait, the next is refused."""
    crowd = Crowd()
    _, refusals = crowd.offered(LANES[Kind.WRITE].at_most + gates.MOST_WAITING, Kind.WRITE)
    assert refusals == []
    _, refusals = crowd.offered(1, Kind.WRITE)
    assert [shed.reason for shed in refusals] == [Reason.FULL]
    assert crowd.gate.shed(Kind.WRITE, Reason.FULL) == 1


async def test_those_that_wait_fail_with_a_failure_that_they_would_meet() -> None:
    """A database that does not answer one report is not asked for all that wait, one after another."""
    crowd = Crowd(shared_failures=(ConnectionError,))
    first, second, third = (crowd.offer(Kind.REPORT) for _ in range(3))
    crowd.gate.leave(first, ConnectionError())
    for turn in (second, third):
        assert isinstance(await refusal(turn), ConnectionError)
        crowd.gate.leave(turn)
    assert begun(crowd.offer(Kind.REPORT))


async def test_any_other_failure_is_the_works_own() -> None:
    """The next in turn begins."""
    crowd = Crowd(shared_failures=(ConnectionError,))
    first, second = (crowd.offer(Kind.REPORT) for _ in range(2))
    crowd.gate.leave(first, ValueError())
    assert begun(second)


async def test_who_left_takes_no_turn() -> None:
    """Neither one that has left, nor one whose task was cancelled a moment before its turn came."""
    crowd = Crowd()
    running = crowd.offer(Kind.REPORT)
    left, cancelled, third = (crowd.offer(Kind.REPORT) for _ in range(3))
    crowd.gate.leave(left, asyncio.CancelledError())
    assert cancelled.admitted is not None
    cancelled.admitted.cancel()
    crowd.gate.leave(running)
    assert begun(third)
    crowd.gate.leave(cancelled, asyncio.CancelledError())
    crowd.gate.leave(third)
    assert crowd.gate.running(Kind.REPORT) == crowd.gate.waiting(Kind.REPORT) == 0


async def test_times_alone_are_measured_again_under_a_load_that_lasts() -> None:
    """A machine that became slower is not taken for an overloaded one for ever."""
    crowd = Crowd()
    crowd.alone(0.01)
    slow = 0.05
    for _ in range(300):
        turns, _ = crowd.offered(10)
        while turns:
            turns = crowd.serve(turns, slow)
        crowd.gate.look()
        crowd.offered(0)
        streams, _ = crowd.offered(3, Kind.STREAM_QUESTION)
        while streams:
            streams = crowd.serve(streams, slow)
    assert crowd.gate.limit > 2


async def test_an_overload_does_not_become_the_measure_of_itself() -> None:
    """Refusals make each piece five times as slow, also those that are alone: no more are let in for that."""
    crowd = Crowd()
    crowd.alone(0.01)
    turns = crowd.overload(50, 5, rounds=12)
    for _ in range(200):
        # One by one while it measures what one takes alone.
        for _ in range(gates.PROBE_SAMPLES):
            turns += crowd.offered(40)[0]
            while turns:
                turns = crowd.serve(turns, 0.05)
        crowd.now += 0.2
        crowd.gate.look()
    assert crowd.gate.under_pressure(Kind.QUESTION)
    assert crowd.gate.limit <= 3


async def test_only_what_stands_ahead_of_the_gate_has_been_waited_behind() -> None:
    """A look that comes late finds many who came meanwhile, and the next one finds none: no call was slow for them."""

    def limit(ahead: Callable[[int], int]) -> int:
        crowd = Crowd()
        crowd.alone(0.01)
        turns = crowd.overload(50, 5, rounds=12)
        for number in range(12):
            crowd.ahead = ahead(number)
            for _ in range(4):
                turns += crowd.offered(40)[0]
                while turns:
                    turns = crowd.serve(turns, 0.01)
            crowd.now += 0.2
            crowd.gate.look()
        assert crowd.gate.under_pressure(Kind.QUESTION)
        return crowd.gate.limit

    assert limit(lambda number: 100 * (number % 2)) > 20
    assert limit(lambda number: 100 if number else 0) == 3


async def test_waits_are_measured() -> None:
    """From the arrival to the turn, of those that had to wait."""
    crowd = Crowd()
    running = crowd.offer(Kind.REPORT)
    crowd.offer(Kind.REPORT)
    crowd.now += 3.0
    crowd.gate.leave(running)
    assert crowd.waits == [3.0]


async def test_the_gate_looks_by_itself_while_something_waits() -> None:
    """No call has to come or end for one to be refused at its deadline."""
    crowd = Crowd()
    crowd.offer(Kind.REPORT)
    short = crowd.offer(Kind.REPORT, seconds=1.0)
    crowd.now += 2.0
    (look,) = crowd.looks
    look()
    assert isinstance(await refusal(short), Shed)
    assert len(crowd.looks) == 2, "the next look is ordered while something is in progress"
