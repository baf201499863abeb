"""What stops the start when a local model cannot serve."""

from __future__ import annotations

from keeper_grpc.operator_error import OperatorError


class ModelUnusable(OperatorError):
    """A local model is missing, incomplete or not what it claims. The message says what to do."""
