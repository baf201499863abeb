from __future__ import annotations

import asyncio
from typing import NoReturn

import grpc
import pytest

from keeper_grpc.domain.errors import PatternsMoved
from keeper_grpc.rpc.interceptors.admission import Durations
from keeper_grpc.rpc.interceptors.chain import Chain
from keeper_grpc.rpc.interceptors.deadline import Deadline
from keeper_grpc.rpc.interceptors.end import TellEnd

METHOD = "/keeper.network.v1.NetworkLearningService/CapturePattern"


class Gone:
    """The context of a call whose caller has left, before gRPC has cancelled its handler."""

    def set_trailing_metadata(self, _: object) -> None:
        """Takes them."""

    def trailing_metadata(self) -> tuple[()]:
        """None."""
        return ()

    def time_remaining(self) -> None:
        """No deadline."""

    async def abort(self, *_: object, **__: object) -> NoReturn:
        """As gRPC does it."""
        raise grpc.aio.InternalError("Failed ExecuteBatch")


async def test_an_error_that_nobody_is_there_to_be_told_is_no_defect() -> None:
    """The call ends as cancelled, and not as UNKNOWN, which an alert takes for a defect of ours."""
    ends: list[str] = []

    def listen(method: str, code: str, *, streaming: bool, seconds: float) -> None:
        ends.append(code)

    async def fail(request: object, context: object) -> NoReturn:
        raise PatternsMoved

    chain = Chain([TellEnd(listen)], [], Deadline(Durations(30.0, {})))
    handler = chain.enclosed(METHOD, grpc.unary_unary_rpc_method_handler(fail))
    with pytest.raises(asyncio.CancelledError):
        await handler.unary_unary(None, Gone())
    assert ends == ["CANCELLED"]
