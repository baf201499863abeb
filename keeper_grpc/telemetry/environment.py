"""Reads which exporters the standard OTEL_* variables select. The SDK reads the other variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keeper_grpc.telemetry.unusable import TelemetryUnusable


@dataclass(frozen=True, slots=True)
class Asked:
    """The signals to send by OTLP, and whether telemetry is disabled."""

    traces: bool
    metrics: bool
    disabled: bool


def asked(environ: Mapping[str, str]) -> Asked:
    """Read the variables. Raises TelemetryUnusable, also for an unsupported exporter.

    The standard's default sends everything to localhost; this service sends nothing unless an
    exporter or an endpoint is set.
    """
    if _word("OTEL_SDK_DISABLED", environ) == "true":
        return Asked(traces=False, metrics=False, disabled=True)
    return Asked(
        traces=_sends("TRACES", environ), metrics=_sends("METRICS", environ), disabled=False
    )


def _sends(signal: str, environ: Mapping[str, str]) -> bool:
    exporter = _word(f"OTEL_{signal}_EXPORTER", environ)
    if exporter not in ("", "otlp", "none"):
        raise TelemetryUnusable(
            f"OTEL_{signal}_EXPORTER: write otlp or none; "
            "for metrics that Prometheus reads, set KEEPER_METRICS_PORT"
        )
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    named = any(_word(name, environ) for name in endpoints)
    if exporter == "none" or not (exporter or named):
        return False
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = _word(name, environ)
        if protocol not in ("", "grpc"):
            raise TelemetryUnusable(f"{name}: write grpc; no other protocol is spoken here")
        if protocol:
            break
    return True


def _word(name: str, environ: Mapping[str, str]) -> str:
    return environ.get(name, "").strip().lower()
