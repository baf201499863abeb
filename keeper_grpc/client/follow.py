"""Reads one stream after another, so that a watch goes on when its stream ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from keeper_grpc.client.errors import from_call, stream_ended
from keeper_grpc.client.liveness import Interrupted
from keeper_grpc.client.retries import Retries, may_retry

RequestT = TypeVar("RequestT", bound=Message)
MessageT = TypeVar("MessageT", bound=Message)

if TYPE_CHECKING:
    Stream: TypeAlias = grpc.aio.UnaryStreamCall[RequestT, MessageT]


async def follow(
    open_stream: Callable[[], Stream[RequestT, MessageT]], retries: Retries
) -> AsyncGenerator[MessageT | Interrupted]:
    """Messages without end: a stream that ends is followed by another.

    `open_stream` is called for each, and decides where it continues. `Interrupted` is yielded when two streams
    in a row brought nothing; a stream that merely reached its maximum age is followed at once, without it.
    Raises KeeperClientError for errors that no retry cures.
    """
    failures = 0
    while True:
        call = open_stream()
        try:
            async for message in call:
                failures = 0
                yield message
            error = stream_ended()
        except grpc.aio.AioRpcError as broken:
            error = from_call(broken)
            if not may_retry(error):
                raise error from broken
        finally:
            call.cancel()
        failures += 1
        if failures > 1:
            yield Interrupted(error)
        await asyncio.sleep(retries.delay(failures, error))
