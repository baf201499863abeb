"""The OTLP exporters, which come with the extra `otlp`. Their settings are the standard OTEL_* ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_grpc.telemetry.unusable import TelemetryUnusable

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

_MISSING = "OTEL_* asks for OTLP, which needs an extra: install keeper-grpc[otlp]"


def span_exporter() -> OTLPSpanExporter:
    """Sends spans. Raises TelemetryUnusable when the extra is missing or a variable is bad."""
    try:
        # Imported here, because the extra is optional.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415 - see above
            OTLPSpanExporter,
        )
    except ImportError as error:
        raise TelemetryUnusable(_MISSING) from error
    try:
        return OTLPSpanExporter()
    except Exception as error:  # noqa: BLE001 - see _refused
        raise _refused(error) from None


def metric_exporter() -> OTLPMetricExporter:
    """Sends metrics. Raises as `span_exporter` does."""
    try:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (  # noqa: PLC0415 - see above
            OTLPMetricExporter,
        )
    except ImportError as error:
        raise TelemetryUnusable(_MISSING) from error
    try:
        return OTLPMetricExporter()
    except Exception as error:  # noqa: BLE001 - see _refused
        raise _refused(error) from None


def _refused(error: Exception) -> TelemetryUnusable:
    """Translates the exporters' errors, whose messages may quote a variable's value."""
    return TelemetryUnusable(
        f"OTEL_EXPORTER_OTLP_*: one of them has a value that cannot be used ({type(error).__name__})"
    )
