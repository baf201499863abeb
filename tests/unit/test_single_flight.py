from __future__ import annotations

import asyncio

import pytest

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.usecases.single_flight import FreshWork, SingleFlight


class Gate:
    """Work that ends when it is let through; counts how often it was begun, and how much at once."""

    def __init__(self) -> None:
        self.begun = 0
        self.under_way = 0
        self.most_under_way = 0
        self.fails = False
        self.through = asyncio.Event()

    async def __call__(self, key: int = 0) -> tuple[int, int]:
        self.begun += 1
        number = self.begun
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.through.wait()
        finally:
            self.under_way -= 1
        if self.fails:
            raise StorageUnavailable("away")
        return key, number


async def settle() -> None:
    """Let every task come to where it waits for the gate."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_asks_first_may_leave_before_the_others() -> None:
    """The work goes on for the callers that are left, and is cancelled with the last one."""
    gate = Gate()
    shared = SingleFlight(gate, asyncio.Semaphore(1))
    first, *others = [asyncio.ensure_future(shared(7)) for _ in range(3)]
    await settle()
    first.cancel()
    await settle()
    assert gate.under_way == 1
    for other in others:
        other.cancel()
    await settle()
    assert gate.under_way == 0
    gate.through.set()
    assert await shared(7) == (7, 2)


async def test_work_of_different_keys_takes_turns() -> None:
    """Only so much at once, and each gets its own outcome."""
    gate = Gate()
    shared = SingleFlight(gate, asyncio.Semaphore(2))
    asked = [asyncio.ensure_future(shared(key)) for key in (1, 2, 3, 1, 2, 3)]
    await settle()
    assert gate.under_way == 2
    gate.through.set()
    assert [key for key, _ in await asyncio.gather(*asked)] == [1, 2, 3, 1, 2, 3]
    assert (gate.begun, gate.most_under_way) == (3, 2)


async def test_an_error_is_shared_and_forgotten() -> None:
    """All callers that waited get it; a later caller tries again."""
    gate = Gate()
    gate.fails = True
    gate.through.set()
    shared = SingleFlight(gate, asyncio.Semaphore(1))
    outcomes = await asyncio.gather(*(shared(1) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 3
    gate.fails = False
    assert await shared(1) == (1, 2)


async def test_who_asks_for_fresh_work_gets_none_that_had_begun() -> None:
    """A crowd that asks while it is under way shares the next."""
    gate = Gate()
    fresh = FreshWork(gate)
    first = asyncio.ensure_future(fresh())
    await settle()
    crowd = [asyncio.ensure_future(fresh()) for _ in range(5)]
    await settle()
    gate.through.set()
    assert await first == (0, 1)
    assert set(await asyncio.gather(*crowd)) == {(0, 2)}
    assert gate.most_under_way == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_fresh_work_that_is_given_up_is_done_by_the_next(fails: bool) -> None:
    """Not so work that failed: its error is shared by those who waited."""
    gate = Gate()
    fresh = FreshWork(gate)
    first = asyncio.ensure_future(fresh())
    await settle()
    crowd = [asyncio.ensure_future(fresh()) for _ in range(4)]
    await settle()
    first.cancel()
    await settle()
    if not fails:
        crowd.pop(0).cancel()
        await settle()
    gate.fails = fails
    gate.through.set()
    outcomes = await asyncio.gather(*crowd, return_exceptions=True)
    assert gate.begun == (2 if fails else 3)
    assert {type(outcome) for outcome in outcomes} == {StorageUnavailable if fails else tuple}
