"""A local OpenTelemetry collector: takes spans and metrics over OTLP and keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2,
    metrics_service_pb2_grpc,
)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.e2e.waiting import SOON


class OtlpStandIn(
    trace_service_pb2_grpc.TraceServiceServicer,
    metrics_service_pb2_grpc.MetricsServiceServicer,
):
    """The collector. It runs in the test's event loop, on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.received: list[Message] = []
        self._server: grpc.aio.Server | None = None
        self._arrived = asyncio.Condition()
        self.endpoint = ""

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server()
        add_spans: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
        add_metrics: Any = metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server
        add_spans(self, self._server)
        add_metrics(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        await self._server.stop(None)

    async def Export(self, request: Any, context: Any) -> Message:  # noqa: N802 - gRPC names it
        """Take spans, or metrics: both services call this method so."""
        async with self._arrived:
            self.received.append(request)
            self._arrived.notify_all()
        if isinstance(request, trace_service_pb2.ExportTraceServiceRequest):
            return trace_service_pb2.ExportTraceServiceResponse()
        return metrics_service_pb2.ExportMetricsServiceResponse()

    async def has(self, condition: Callable[[], bool]) -> None:
        """Wait until what has come meets a condition."""
        async with asyncio.timeout(SOON), self._arrived:
            await self._arrived.wait_for(condition)

    def spans(self) -> Iterator[Span]:
        """Every span that has come."""
        for request in self.received:
            if isinstance(request, trace_service_pb2.ExportTraceServiceRequest):
                for resource in request.resource_spans:
                    for scope in resource.scope_spans:
                        yield from scope.spans

    def metric_names(self) -> set[str]:
        """The names of every metric that has come."""
        return {
            metric.name
            for request in self.received
            if isinstance(request, metrics_service_pb2.ExportMetricsServiceRequest)
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def service_names(self) -> set[str]:
        """Who sent metrics."""
        return {
            item.value.string_value
            for request in self.received
            if isinstance(request, metrics_service_pb2.ExportMetricsServiceRequest)
            for resource in request.resource_metrics
            for item in resource.resource.attributes
            if item.key == "service.name"
        }
