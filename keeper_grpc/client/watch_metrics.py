"""One unbroken sequence of metrics out of many streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import grpc

from keeper_grpc.client.errors import from_call, stream_ended
from keeper_grpc.client.liveness import Alive, Interrupted
from keeper_grpc.client.retries import Retries, may_retry
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetNetworkMetricsResponse,
    StreamNetworkMetricsRequest,
    StreamNetworkMetricsResponse,
)

if TYPE_CHECKING:
    Stream: TypeAlias = grpc.aio.UnaryStreamCall[
        StreamNetworkMetricsRequest, StreamNetworkMetricsResponse
    ]


@dataclass(frozen=True, slots=True)
class Reported:
    """The metrics as they are now."""

    report: GetNetworkMetricsResponse


MetricsEvent: TypeAlias = Reported | Alive | Interrupted


async def watch_metrics(
    open_stream: Callable[[StreamNetworkMetricsRequest], Stream],
    request: StreamNetworkMetricsRequest,
    retries: Retries,
) -> AsyncGenerator[MetricsEvent]:
    """Events without end. Each stream begins with a whole report, so nothing has to be resumed.

    Raises KeeperClientError for what no retry cures.
    """
    failures = 0
    while True:
        call = open_stream(request)
        try:
            async for message in call:
                failures = 0
                if message.WhichOneof("event") == "report":
                    yield Reported(message.report)
                else:
                    yield Alive()
            error = stream_ended()
        except grpc.aio.AioRpcError as broken:
            error = from_call(broken)
            if not may_retry(error):
                raise error from broken
        finally:
            call.cancel()
        failures += 1
        if failures > 1:
            # A stream that merely reached its greatest age is followed at once: no news.
            yield Interrupted(error)
        await asyncio.sleep(retries.delay(failures, error))
