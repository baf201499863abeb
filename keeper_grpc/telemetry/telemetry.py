"""The telemetry that the composition root hands to the parts of a service."""

from __future__ import annotations

from dataclasses import dataclass, field

from opentelemetry.metrics import NoOpMeter

from keeper_grpc.spans import Spans
from keeper_grpc.telemetry.instruments import Instruments
from keeper_grpc.telemetry.probes import Probes

SCOPE = "keeper_grpc"
"""The instrumentation scope of instruments and spans."""


def _no_instruments() -> Instruments:
    return Instruments(NoOpMeter(SCOPE))


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Instruments and spans, by default no-ops, and the probes where an endpoint answers them."""

    instruments: Instruments = field(default_factory=_no_instruments)
    spans: Spans = field(default_factory=Spans)
    metrics_port: int | None = None
    probes: Probes | None = None
