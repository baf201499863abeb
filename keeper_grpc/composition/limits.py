"""How much callers may do, from the settings."""

from __future__ import annotations

from keeper_grpc.domain.access.limits import Limits
from keeper_grpc.settings import Settings


def identity_limits(settings: Settings) -> Limits:
    """The limits of an identity without its own, and of all callers together where there is no authentication."""
    burst = settings.identity_burst or settings.identity_rate or 1.0
    return Limits(settings.identity_rate, max(1.0, burst), settings.identity_concurrency)
