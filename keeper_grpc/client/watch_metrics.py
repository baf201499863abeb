"""Joins many streams of metrics into one sequence of events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import grpc

from keeper_grpc.client.follow import follow
from keeper_grpc.client.liveness import Alive, Interrupted
from keeper_grpc.client.retries import Retries
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

    Raises KeeperClientError for errors that no retry cures.
    """
    async with aclosing(follow(lambda: open_stream(request), retries)) as messages:
        async for message in messages:
            if isinstance(message, Interrupted):
                yield message
            elif message.WhichOneof("event") == "report":
                yield Reported(message.report)
            else:
                yield Alive()
