from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from keeper_grpc.storage.connections import limit as module
from keeper_grpc.storage.connections.limit import GROWS_AFTER, ConnectionLimit


@dataclass
class Clock:
    """A time that the test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


async def entered(limit: ConnectionLimit) -> bool:
    """Whether a caller gets in without waiting for anybody."""
    entering = asyncio.create_task(limit.enter())
    for _ in range(3):
        await asyncio.sleep(0)
    if entering.done():
        return True
    entering.cancel()
    await asyncio.wait([entering])
    return False


async def test_a_refusal_makes_callers_wait_for_those_inside() -> None:
    """With two connections given and the third refused, the next caller gets in when one of the two leaves."""
    limit = ConnectionLimit(10, Clock())
    for _ in range(3):
        await limit.enter()
    await limit.refused()
    assert limit.allowed == 2
    assert not await entered(limit)
    limit.leave()
    assert await entered(limit)


async def test_callers_get_in_in_their_order() -> None:
    """Nobody is overtaken by one who comes later."""
    limit = ConnectionLimit(1, Clock())
    await limit.enter()
    order: list[int] = []

    async def call(number: int) -> None:
        await limit.enter()
        order.append(number)
        limit.leave()

    calls = [asyncio.create_task(call(number)) for number in range(5)]
    await asyncio.sleep(0)
    limit.leave()
    await asyncio.gather(*calls)
    assert order == [0, 1, 2, 3, 4]


async def test_the_limit_grows_again_one_by_one() -> None:
    """Whoever held the others may have given them back."""
    clock = Clock()
    limit = ConnectionLimit(3, clock)
    for _ in range(3):
        await limit.enter()
    await limit.refused()
    assert not await entered(limit)
    clock.now = GROWS_AFTER
    assert await entered(limit)
    assert not await entered(limit)
    assert limit.allowed == 3


async def test_the_only_caller_tries_again_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes have all connections: there is nobody here to wait for."""
    monkeypatch.setattr(module, "PAUSE", 0.0)
    limit = ConnectionLimit(3, Clock())
    await limit.enter()
    await limit.refused()
    assert limit.allowed == 1
    assert await entered(limit)


async def test_a_caller_that_gives_up_leaves_its_place_to_others() -> None:
    """Also when its place came in the moment in which it gave up."""
    limit = ConnectionLimit(1, Clock())
    await limit.enter()
    gives_up = asyncio.create_task(limit.enter())
    stays = asyncio.create_task(limit.enter())
    await asyncio.sleep(0)
    limit.leave()  # the place of the first
    gives_up.cancel()
    await asyncio.wait([gives_up])
    async with asyncio.timeout(10):
        await stays


async def test_a_caller_that_gives_up_when_its_turn_comes_is_passed_over() -> None:
    """One inside leaves in the moment in which the next is cancelled: it ends as cancelled, and the one behind gets in."""
    limit = ConnectionLimit(1, Clock())
    await limit.enter()
    gone, behind = asyncio.create_task(limit.enter()), asyncio.create_task(limit.enter())
    await asyncio.sleep(0)
    gone.cancel()
    limit.leave()
    await asyncio.wait([gone, behind], timeout=10)
    assert gone.cancelled()
    assert behind.done()
    await behind
