from __future__ import annotations

import asyncio
import gc
from typing import Any

import grpc
import pytest
import structlog

from keeper_grpc.rpc import accepting

CALLS = 10 * accepting.AHEAD


REFUSED = accepting.Refusal(
    grpc.StatusCode.RESOURCE_EXHAUSTED, "not now", (("trace", "1"), ("packed-bin", b"\x00\xff"))
)


async def started(
    handle: Any, refuse: accepting.Refuse = lambda method, context: None
) -> tuple[grpc.aio.Server, int]:
    """A server of one method, and its port."""
    server = accepting.server([], (), refuse)
    server.add_registered_method_handlers(
        "keeper.Test", {"Call": grpc.unary_unary_rpc_method_handler(handle)}
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


async def test_calls_are_asked_for_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the locked release of gRPC, whose server's inside is what it is made of."""
    asked: list[bytes] = []

    class Counting(accepting._Core):
        async def _take(self, method: bytes) -> Any:
            asked.append(method)
            taken: object = await super()._take(method)
            return taken

    monkeypatch.setattr(accepting, "_Core", Counting)
    server, _ = await started(None)
    await asyncio.sleep(0)
    await server.stop(None)
    assert asked == [b"/keeper.Test/Call"] * accepting.AHEAD


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


async def test_a_refusal_is_answered_before_the_call_is_read() -> None:
    """With its status and metadata, by what the call's metadata say, and nobody else is kept from an answer."""
    read: list[bytes] = []

    def refuse(method: str, context: Any) -> accepting.Refusal | None:
        assert method == "/keeper.Test/Call"
        return REFUSED if ("unwanted", "1") in context.invocation_metadata() else None

    async def echo(request: bytes, _: object) -> bytes:
        read.append(request)
        return request

    server, port = await started(echo, refuse)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary("/keeper.Test/Call")

        async def ask(number: int) -> object:
            wanted = number % 3 == 0
            unwanted = () if wanted else (("unwanted", "1"),)
            try:
                return await call(str(number).encode(), timeout=20, metadata=unwanted)
            except grpc.aio.AioRpcError as error:
                assert not wanted
                return error

        ends = await asyncio.gather(*map(ask, range(CALLS)))
    await server.stop(None)
    answered = [str(number).encode() for number in range(0, CALLS, 3)]
    assert [end for end in ends if isinstance(end, bytes)] == answered
    assert sorted(read) == sorted(answered)
    for error in ends:
        if isinstance(error, grpc.aio.AioRpcError):
            assert (error.code(), error.details()) == (REFUSED.code, REFUSED.message)
            assert tuple(error.trailing_metadata() or ()) == REFUSED.metadata


async def test_one_call_among_many_that_are_refused_is_answered() -> None:
    """Whichever of the requests to gRPC it comes by."""

    def refuse(method: str, context: Any) -> accepting.Refusal | None:
        return None if ("wanted", "1") in context.invocation_metadata() else REFUSED

    async def echo(request: bytes, _: object) -> bytes:
        return request

    server, port = await started(echo, refuse)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary("/keeper.Test/Call")
        for turn in range(2 * accepting.AHEAD):
            for _ in range(turn % accepting.AHEAD):
                with pytest.raises(grpc.aio.AioRpcError):
                    await call(b"", timeout=20)
            # None comes after it that would bring it along.
            assert await call(b"1", timeout=20, metadata=(("wanted", "1"),)) == b"1"
    await server.stop(None)


async def test_a_question_that_fails_refuses_nobody() -> None:
    """The server goes on, and the defect is logged."""

    def refuse(method: str, context: Any) -> accepting.Refusal | None:
        raise ValueError("a defect")

    async def echo(request: bytes, _: object) -> bytes:
        return request

    server, port = await started(echo, refuse)
    with structlog.testing.capture_logs() as lines:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary("/keeper.Test/Call")
            assert await call(b"1", timeout=20) == b"1"
        await server.stop(None)
    assert [(line["event"], line["error"]) for line in lines] == [("call_failed", "ValueError")]
