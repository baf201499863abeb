from __future__ import annotations

import asyncio

from keeper_grpc.rpc.unawaited import Unawaited


async def test_an_operation_begins_at_once_and_is_let_go_when_it_is_done() -> None:
    """Also one that has several steps, one that fails, and one that has nothing to wait for."""
    loop = asyncio.get_running_loop()
    seen: list[str] = []

    async def operation(name: str, *awaited: asyncio.Future[None]) -> None:
        seen.append(name)
        for each in awaited:
            await each
        seen.append(name + " done")

    steps, fails = [loop.create_future(), loop.create_future()], loop.create_future()
    operations = Unawaited()
    operations.begin(operation("steps", *steps))
    operations.begin(operation("fails", fails))
    operations.begin(operation("at once"))
    assert seen == ["steps", "fails", "at once", "at once done"]
    assert len(operations) == 2
    steps[0].set_result(None)
    fails.set_exception(ValueError)
    operations.let_go()
    assert len(operations) == 1
    steps[1].set_result(None)
    operations.let_go()
    assert len(operations) == 0
    assert seen[-1] == "steps done"


async def test_operations_that_never_end_do_not_keep_those_that_do() -> None:
    """A connection that takes no bytes is none of the others' business."""
    loop = asyncio.get_running_loop()

    async def wait(awaited: asyncio.Future[None]) -> None:
        await awaited

    operations = Unawaited()
    stuck = [loop.create_future() for _ in range(3)]
    for each in stuck:
        operations.begin(wait(each))
    for _ in range(100):
        quick = loop.create_future()
        operations.begin(wait(quick))
        quick.set_result(None)
    assert len(operations) < 10
    for each in stuck:
        each.set_result(None)
    operations.let_go()
    assert len(operations) == 0
