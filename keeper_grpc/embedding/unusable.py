"""The error that stops the start when a model cannot be used."""

from __future__ import annotations

from keeper_grpc.operator_error import OperatorError


class ModelUnusable(OperatorError):
    """A model is missing, incomplete, unreachable or of another kind. The message says what to do."""
