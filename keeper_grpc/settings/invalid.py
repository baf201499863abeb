"""What is wrong with the settings, for the operator."""

from __future__ import annotations

from keeper_grpc.operator_error import OperatorError


class SettingsInvalid(OperatorError):
    """One line for each setting that is wrong. Never a value: it may be a secret."""
