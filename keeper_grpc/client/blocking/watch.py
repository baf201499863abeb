"""Joins many streams into one sequence of events, as the asynchronous client does."""

from __future__ import annotations

from collections.abc import Iterator

from keeper_grpc.client.blocking.connection import Connection
from keeper_grpc.client.blocking.follow import follow
from keeper_grpc.client.liveness import Alive, Interrupted
from keeper_grpc.client.watch import EmergingEvent, View
from keeper_grpc.client.watch_metrics import MetricsEvent, Reported
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    StreamEmergingPatternsRequest,
    StreamEmergingPatternsResponse,
    StreamNetworkMetricsRequest,
    StreamNetworkMetricsResponse,
)


def watch(
    connection: Connection, request: StreamEmergingPatternsRequest
) -> Iterator[EmergingEvent]:
    """Events without end. After a stream that breaks, another continues from its last token."""
    view = View()

    def go_on() -> object:
        view.stream_begins()
        return connection.network.StreamEmergingPatterns(request, metadata=connection.metadata)

    for message in follow(go_on, connection, StreamEmergingPatternsResponse):
        if isinstance(message, Interrupted):
            yield message
            continue
        request.resume_token = message.resume_token
        yield from view.events(message)


def watch_metrics(
    connection: Connection, request: StreamNetworkMetricsRequest
) -> Iterator[MetricsEvent]:
    """Events without end. Each stream begins with a whole report, so nothing has to be resumed."""

    def go_on() -> object:
        return connection.network.StreamNetworkMetrics(request, metadata=connection.metadata)

    for message in follow(go_on, connection, StreamNetworkMetricsResponse):
        if isinstance(message, Interrupted):
            yield message
        elif message.WhichOneof("event") == "report":
            yield Reported(message.report)
        else:
            yield Alive()
