"""StreamNetworkMetrics: the feed's reports as messages."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from keeper_grpc.domain.errors import KeeperError
from keeper_grpc.domain.metrics.formulas import MetricsReport
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import StreamNetworkMetricsRequest
from keeper_grpc.rpc.convert import metrics
from keeper_grpc.rpc.sent import sent
from keeper_grpc.rpc.streams.end import end_stream
from keeper_grpc.usecases.metrics.feed import MetricsFeed
from keeper_grpc.usecases.stream_lifetime import Heartbeat

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class MetricsStream:
    """Serves every StreamNetworkMetrics call of a process."""

    def __init__(self, feed: MetricsFeed) -> None:
        self._feed = feed

    async def serve(self, request: StreamNetworkMetricsRequest, context: Context) -> None:
        """Write messages until the stream ends; it always ends with an error."""

        async def send(message: MetricsReport | Heartbeat) -> None:
            await sent(context.write(metrics.feed_message(message)))

        try:
            await self._feed.deliver(metrics.window(request), request.business_category, send)
        except KeeperError as error:
            await end_stream(context, error)
