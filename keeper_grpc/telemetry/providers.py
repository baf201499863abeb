"""The providers of metrics and traces of one process, with their readers and exporters.

No provider is registered globally: each service has its own instruments, readers and exporters, and
closes them. docs/adr/0011 gives the reasons.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from uuid import uuid4

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Meter, NoOpMeter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import CollectorRegistry

from keeper_grpc.spans import Spans
from keeper_grpc.telemetry import otlp
from keeper_grpc.telemetry.environment import Asked
from keeper_grpc.telemetry.instruments import Instruments
from keeper_grpc.telemetry.probes import Probes
from keeper_grpc.telemetry.prometheus import Endpoint
from keeper_grpc.telemetry.telemetry import SCOPE, Telemetry
from keeper_grpc.telemetry.unusable import TelemetryUnusable

LAST_EXPORT = 2.0
"""Seconds in which a stopping process sends its last spans and metrics to the collector."""


@asynccontextmanager
async def exporting(
    wanted: Asked, metrics_host: str, metrics_port: int | None
) -> AsyncIterator[Telemetry]:
    """Start the exporters that are wanted, and for a port an endpoint for Prometheus; at the end, flush them.

    Raises TelemetryUnusable.
    """
    resource = _resource()
    registry = CollectorRegistry()
    async with AsyncExitStack() as stack:
        readers: list[MetricReader] = []
        if metrics_port is not None:
            readers.append(PrometheusMetricReader(registry=registry, scope_info_enabled=False))
        if wanted.metrics:
            readers.append(PeriodicExportingMetricReader(otlp.metric_exporter()))
        meter = await stack.enter_async_context(_metering(readers, resource))
        spans = Spans()
        if wanted.traces:
            spans = await stack.enter_async_context(_tracing(resource))
        endpoint = None
        probes = Probes(asyncio.get_running_loop())
        if metrics_port is not None:
            endpoint = await asyncio.to_thread(
                Endpoint, metrics_host, metrics_port, registry, probes
            )
            stack.push_async_callback(asyncio.to_thread, endpoint.close)
        yield Telemetry(Instruments(meter), spans, endpoint.port if endpoint else None, probes)


@asynccontextmanager
async def _metering(readers: Sequence[MetricReader], resource: Resource) -> AsyncIterator[Meter]:
    """The meter provider of these readers; without readers, a no-op."""
    if not readers:
        yield NoOpMeter(SCOPE)
        return
    provider = MeterProvider(readers, resource, shutdown_on_exit=False)
    try:
        yield provider.get_meter(SCOPE)
    finally:
        await asyncio.to_thread(provider.shutdown, LAST_EXPORT * 1000)


@asynccontextmanager
async def _tracing(resource: Resource) -> AsyncIterator[Spans]:
    """Spans exported by OTLP. Raises TelemetryUnusable."""
    exporter = otlp.span_exporter()
    try:
        processor = BatchSpanProcessor(exporter)
    except ValueError as error:
        exporter.shutdown()
        raise TelemetryUnusable("OTEL_BSP_*: these values contradict each other") from error
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    try:
        yield Spans(provider.get_tracer(SCOPE))
    finally:
        finishing = asyncio.ensure_future(asyncio.to_thread(provider.shutdown))
        await asyncio.wait([finishing], timeout=LAST_EXPORT)
        if not finishing.done():
            # The provider's default is to wait half a minute for a collector that does not answer.
            await asyncio.to_thread(exporter.shutdown)
        await finishing


def _resource() -> Resource:
    """The resource: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override our defaults."""
    ours = {
        "service.name": "keeper",
        "service.version": version("keeper-grpc"),
        "service.instance.id": str(uuid4()),
    }
    return Resource.create(ours).merge(OTELResourceDetector().detect())
