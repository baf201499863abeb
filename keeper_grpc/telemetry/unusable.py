"""The error that stops a start with unusable telemetry settings."""

from __future__ import annotations

from keeper_grpc.operator_error import OperatorError


class TelemetryUnusable(OperatorError):
    """A telemetry setting is unusable. The message names it and never quotes its value."""
