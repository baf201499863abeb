"""Reads one stream after another, so that a watch goes on when its stream ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from keeper_grpc.client.blocking.connection import Connection
from keeper_grpc.client.errors import from_blocking_call, stream_ended
from keeper_grpc.client.liveness import Interrupted
from keeper_grpc.client.retries import may_retry

MessageT = TypeVar("MessageT", bound=Message)


def follow(
    open_stream: Callable[[], Any], connection: Connection, message_type: type[MessageT]
) -> Iterator[MessageT | Interrupted]:
    """Messages without end, as the asynchronous client's `follow`: a stream that ends is followed by another.

    `open_stream` returns a stream of messages of `message_type`, which may be cancelled.
    """
    failures = 0
    while True:
        call = open_stream()
        try:
            for message in call:
                assert isinstance(message, message_type)  # noqa: S101 - the stub says so
                failures = 0
                yield message
            error = stream_ended()
        except grpc.RpcError as broken:
            error = from_blocking_call(broken)
            if not may_retry(error):
                raise error from broken
        finally:
            call.cancel()
        failures += 1
        if failures > 1:
            yield Interrupted(error)
        connection.clock.sleep_for(connection.retries.delay(failures, error))
