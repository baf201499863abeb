"""Metrics and traces of one process, from its settings and the standard OTEL_* variables."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from keeper_grpc.telemetry.environment import asked
from keeper_grpc.telemetry.probes import Probes
from keeper_grpc.telemetry.telemetry import Telemetry

log = structlog.get_logger()


@asynccontextmanager
async def open_telemetry(metrics_host: str, metrics_port: int | None) -> AsyncIterator[Telemetry]:
    """Start the exporters that settings and environment select; at the end, flush them.

    Raises TelemetryUnusable.
    """
    wanted = asked(os.environ)
    if wanted.disabled:
        if metrics_port is not None:
            log.warning("metrics_disabled", reason="OTEL_SDK_DISABLED")
        yield Telemetry()
    elif metrics_port is None and not (wanted.metrics or wanted.traces):
        yield Telemetry(probes=Probes(asyncio.get_running_loop()))
    else:
        # A seventh of a second of CPU for OpenTelemetry's SDK: only who exports something waits for it.
        from keeper_grpc.telemetry.providers import exporting  # noqa: PLC0415

        async with exporting(wanted, metrics_host, metrics_port) as telemetry:
            yield telemetry
