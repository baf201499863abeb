"""What stops the start when metrics or traces cannot be had as asked for."""

from __future__ import annotations

from keeper_grpc.operator_error import OperatorError


class TelemetryUnusable(OperatorError):
    """A setting asks for what cannot be done. The message names it and never quotes its value."""
