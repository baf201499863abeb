"""What the parts of a service are given to tell what they do."""

from __future__ import annotations

from dataclasses import dataclass, field

from opentelemetry.metrics import NoOpMeter

from keeper_grpc.spans import Spans
from keeper_grpc.telemetry.instruments import Instruments

SCOPE = "keeper_grpc"
"""The name of the instruments' and spans' maker."""


def _no_instruments() -> Instruments:
    return Instruments(NoOpMeter(SCOPE))


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What the parts of a service are given. By default nobody reads and nobody traces."""

    instruments: Instruments = field(default_factory=_no_instruments)
    spans: Spans = field(default_factory=Spans)
    metrics_port: int | None = None
