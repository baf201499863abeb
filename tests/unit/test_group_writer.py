from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from keeper_grpc.domain.errors import (
    EnhancementNotFound,
    KeeperError,
    ShuttingDown,
    StorageUnavailable,
    TooBusy,
)
from keeper_grpc.usecases.group_writer import GroupWriter


class Gate:
    """Writes that end when they are let through; what was written, group by group. Places that are held it leaves out."""

    def __init__(self) -> None:
        self.groups: list[dict[str, list[int]]] = []
        self.through = asyncio.Event()
        self.under_way = 0
        self.most_under_way = 0
        self.bad: dict[int, Exception] = {}
        self.held: set[str] = set()

    async def __call__(
        self, items: Mapping[str, Sequence[int]]
    ) -> Mapping[str, Sequence[str | KeeperError]]:
        left = {place for place in [*items][1:] if place in self.held}
        taken = {place: list(own) for place, own in items.items() if place not in left}
        self.groups.append(taken)
        self.under_way += len(taken)
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.through.wait()
        finally:
            self.under_way -= len(taken)
        for own in taken.values():
            for item in own:
                if item in self.bad:
                    raise self.bad[item]
        return {place: [f"{place}{item}" for item in own] for place, own in taken.items()}


def writer(
    gate: Gate, *, at_once: int = 1, largest: int = 100, most_waiting: int = 100
) -> GroupWriter[str, int, str]:
    """A writer of what the gate lets through; negative numbers go alone, and large letters are of another home."""
    return GroupWriter(
        gate,
        at_once=at_once,
        largest=largest,
        most_waiting=most_waiting,
        alone=lambda item: item < 0,
        home=lambda place: place[0].isupper(),
    )


async def settle() -> None:
    """Let every task come to where it waits for the gate."""
    for _ in range(10):
        await asyncio.sleep(0)


def submitted(
    under_test: GroupWriter[str, int, str], place: str, *items: int
) -> list[asyncio.Task[str]]:
    """Callers that submit in this order."""
    return [asyncio.create_task(under_test.submit(place, item)) for item in items]


async def test_one_that_comes_alone_is_written_at_once() -> None:
    """There is no timer: the first is under way before a second comes."""
    gate = Gate()
    tasks = submitted(writer(gate), "a", 1)
    await settle()
    assert gate.groups == [{"a": [1]}]
    gate.through.set()
    assert await asyncio.gather(*tasks) == ["a1"]


async def test_a_group_is_what_came_while_the_last_was_written() -> None:
    """Everybody gets the own answer, in the order in which they came."""
    gate = Gate()
    under_test = writer(gate, largest=3)
    tasks = submitted(under_test, "a", 1)
    await settle()
    tasks += submitted(under_test, "a", 2, 3, 4, 5)
    await settle()
    gate.through.set()
    assert await asyncio.gather(*tasks) == ["a1", "a2", "a3", "a4", "a5"]
    assert gate.groups == [{"a": [1]}, {"a": [2, 3, 4]}, {"a": [5]}]


async def test_a_caller_that_comes_back_at_once_is_written() -> None:
    """Also where the writer that answered it was the only one there may be."""
    gate = Gate()
    gate.through.set()
    under_test = writer(gate)
    async with asyncio.timeout(10):
        assert [await under_test.submit("a", item) for item in (1, 2, 3)] == ["a1", "a2", "a3"]


async def test_one_place_has_one_writer_and_all_together_as_many_as_may_be() -> None:
    """Groups of a place never overlap; those of other places do, up to the bound."""
    gate = Gate()
    under_test = writer(gate, at_once=2)
    tasks = []
    for item in range(3):
        for place in "abc":
            tasks += submitted(under_test, place, item)
            await settle()
    assert gate.groups == [{"a": [0]}, {"b": [0]}]
    gate.through.set()
    await asyncio.gather(*tasks)
    assert gate.groups[2:] == [{"c": [0, 1, 2], "a": [1, 2]}, {"b": [1, 2]}]


async def test_a_group_takes_what_waits_at_many_places() -> None:
    """As many as may be in one group, in the order of their turns; the rest of a place has its next turn."""
    gate = Gate()
    under_test = writer(gate, largest=4)
    tasks = submitted(under_test, "a", 1)
    await settle()
    for place in "bcd":
        tasks += submitted(under_test, place, 1, 2, 3)
        await settle()
    gate.through.set()
    assert len(await asyncio.gather(*tasks)) == 10
    assert gate.groups == [
        {"a": [1]},
        {"b": [1, 2, 3], "c": [1]},
        {"d": [1, 2, 3], "c": [2]},
        {"c": [3]},
    ]


async def test_of_many_that_wait_a_group_takes_half() -> None:
    """The other half is the next writer's meanwhile; down to a number that shares what a group costs."""
    gate = Gate()
    under_test = writer(gate)
    tasks = submitted(under_test, "first", 1)
    await settle()
    for place in range(39):
        tasks += submitted(under_test, str(place), 1)
    await settle()
    gate.through.set()
    await asyncio.gather(*tasks)
    assert [len(group) for group in gate.groups] == [1, 20, 16, 3]


async def test_a_place_that_was_left_out_comes_first_in_the_next_group() -> None:
    """Its items keep their order, and callers that went away meanwhile are not written."""
    gate = Gate()
    under_test = writer(gate)
    tasks = submitted(under_test, "a", 1)
    await settle()
    gate.held.add("c")
    tasks += submitted(under_test, "b", 1)
    tasks += submitted(under_test, "c", 1, 2)
    gone = submitted(under_test, "c", 3)
    tasks += submitted(under_test, "d", 1)
    await settle()
    gate.through.set()
    await settle()
    gone[0].cancel()
    assert await asyncio.gather(*tasks) == ["a1", "b1", "c1", "c2", "d1"]
    assert gate.groups[:2] == [{"a": [1]}, {"b": [1], "d": [1]}]
    assert gate.groups[2]["c"][:2] == [1, 2]
    assert under_test.waiting == 0


async def test_a_group_is_of_one_home() -> None:
    """What waits elsewhere keeps its turn, and is written by the next writer meanwhile."""
    gate = Gate()
    under_test = writer(gate)
    tasks = submitted(under_test, "a", 1)
    await settle()
    for place in "bCdE":
        tasks += submitted(under_test, place, 1)
    tasks += submitted(under_test, "f", -1)
    await settle()
    gate.through.set()
    await asyncio.gather(*tasks)
    assert gate.groups == [
        {"a": [1]},
        {"b": [1], "d": [1]},
        {"C": [1], "E": [1]},
        {"f": [-1]},
    ]


async def test_a_busy_place_does_not_keep_others_from_their_turn() -> None:
    """Who has waited longest is next, however much waits elsewhere."""
    gate = Gate()
    under_test = writer(gate, largest=1)
    tasks = submitted(under_test, "busy", 1, 2, 3)
    await settle()
    tasks += submitted(under_test, "other", 1)
    gate.through.set()
    await asyncio.gather(*tasks)
    assert [[*group] for group in gate.groups] == [["busy"], ["other"], ["busy"], ["busy"]]


async def test_what_goes_alone_shares_no_group_and_keeps_its_place() -> None:
    """Those before it and those after it are groups of their own."""
    gate = Gate()
    under_test = writer(gate)
    tasks = submitted(under_test, "a", 1)
    await settle()
    tasks += submitted(under_test, "a", 2, 3, -4, 5, 6)
    await settle()
    gate.through.set()
    await asyncio.gather(*tasks)
    assert [group["a"] for group in gate.groups] == [[1], [2, 3], [-4], [5, 6]]


async def test_only_the_culprit_fails() -> None:
    """After an error that nobody can be blamed for, each is written by itself."""
    gate = Gate()
    gate.through.set()
    gate.bad[2] = ZeroDivisionError()
    under_test = writer(gate)
    answers = await asyncio.gather(*submitted(under_test, "a", 1, 2, 3), return_exceptions=True)
    assert [type(answer) for answer in answers] == [str, ZeroDivisionError, str]


async def test_an_error_in_the_place_of_an_answer_is_its_callers_alone() -> None:
    """The others of the group are not written twice for it."""

    async def write(
        items: Mapping[str, Sequence[int]],
    ) -> Mapping[str, Sequence[str | KeeperError]]:
        groups.append(list(items["a"]))
        return {"a": [EnhancementNotFound() if item == 2 else f"a{item}" for item in items["a"]]}

    groups: list[list[int]] = []
    under_test = GroupWriter[str, int, str](write, at_once=1, largest=9, most_waiting=9)
    answers = await asyncio.gather(
        *(under_test.submit("a", item) for item in (1, 2, 3)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [str, EnhancementNotFound, str]
    assert groups == [[1, 2, 3]]


async def test_all_are_told_to_try_again_when_the_database_is_away() -> None:
    """Nobody's fault, and another attempt for each would only take longer."""
    gate = Gate()
    gate.through.set()
    gate.bad[1] = StorageUnavailable("away")
    answers = await asyncio.gather(*submitted(writer(gate), "a", 1, 2, 3), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StorageUnavailable] * 3
    assert len(gate.groups) == 1


async def test_more_than_may_wait_are_refused() -> None:
    """A queue has an end; what was refused was never in it."""
    gate = Gate()
    under_test = writer(gate, most_waiting=2)
    tasks = submitted(under_test, "a", 1)
    await settle()
    tasks += submitted(under_test, "a", 2, 3)
    await settle()
    assert under_test.waiting == 2
    with pytest.raises(TooBusy):
        await under_test.submit("b", 4)
    gate.through.set()
    await asyncio.gather(*tasks)
    assert under_test.waiting == 0
    assert await under_test.submit("b", 5) == "b5"


async def test_a_caller_that_gives_up_takes_back_what_waits_and_not_what_is_written() -> None:
    """What was taken is written although nobody waits for the answer."""
    gate = Gate()
    under_test = writer(gate)
    taken, *waiting = submitted(under_test, "a", 1)
    await settle()
    waiting = submitted(under_test, "a", 2, 3)
    await settle()
    taken.cancel()
    waiting[0].cancel()
    await settle()
    assert under_test.waiting == 1
    gate.through.set()
    assert await waiting[1] == "a3"
    assert [group["a"] for group in gate.groups] == [[1], [3]]
    assert taken.cancelled()


async def test_closing_writes_what_waits_and_takes_nothing_more() -> None:
    """No caller that was let in is left without an answer."""
    gate = Gate()
    under_test = writer(gate)
    tasks = submitted(under_test, "a", 1, 2)
    tasks += submitted(under_test, "b", 3)
    await settle()
    closing = asyncio.create_task(under_test.close())
    await settle()
    with pytest.raises(ShuttingDown):
        await under_test.submit("a", 4)
    assert not closing.done()
    gate.through.set()
    await closing
    assert await asyncio.gather(*tasks) == ["a1", "a2", "b3"]
