from __future__ import annotations

import asyncio
import gc
from typing import Any

import grpc
import pytest

from keeper_grpc.rpc import accepting

CALLS = 10 * accepting.AHEAD


async def started(handle: Any) -> tuple[grpc.aio.Server, int]:
    """A server of one method, and its port."""
    server = accepting.server([], ())
    server.add_registered_method_handlers(
        "keeper.Test", {"Call": grpc.unary_unary_rpc_method_handler(handle)}
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


async def test_calls_are_asked_for_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the locked release of gRPC, whose server's inside is what it is made of."""
    asked: list[bytes | None] = []

    class Counting(accepting._Core):
        def _ask(self, method: bytes | None) -> asyncio.Task[Any]:
            asked.append(method)
            return super()._ask(method)

    monkeypatch.setattr(accepting, "_Core", Counting)
    server, _ = await started(None)
    await server.stop(None)
    assert asked.count(b"/keeper.Test/Call") == accepting.AHEAD
    assert asked.count(None) == 1


async def test_every_call_is_answered_and_the_end_leaves_nothing_behind() -> None:
    """More calls at once than are asked for ahead; what was asked for last is no error that asyncio would log."""
    logged: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))

    async def echo(request: bytes, _: object) -> bytes:
        return request

    server, port = await started(echo)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary("/keeper.Test/Call")
        other: Any = channel.unary_unary("/keeper.Test/Other")
        sent = [str(number).encode() for number in range(CALLS)]
        assert await asyncio.gather(*(call(each, timeout=20) for each in sent)) == sent
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await other(b"", timeout=20)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await server.stop(None)
    del server
    gc.collect()
    await asyncio.sleep(0)
    assert logged == []


async def test_a_drain_answers_what_has_begun() -> None:
    """Nothing is taken up afterwards."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(request: bytes, _: object) -> bytes:
        begun.set()
        await go_on.wait()
        return request

    server, port = await started(wait)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary("/keeper.Test/Call")
        answer = asyncio.ensure_future(call(b"1", timeout=20))
        await begun.wait()
        stopping = asyncio.ensure_future(server.stop(20.0))
        await asyncio.sleep(0)
        go_on.set()
        assert await answer == b"1"
        await stopping
