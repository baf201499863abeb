"""Logs one line a call: method, code, duration. Never a body."""

from __future__ import annotations

import structlog

log = structlog.get_logger()

_QUIET = "/grpc.health.v1.Health/"
"""Not logged: probes call every few seconds, and their lines would bury the others."""


def log_end(method: str, code: str, *, streaming: bool, seconds: float) -> None:  # noqa: ARG001 - as EndListener says
    """Log the end of a call."""
    if not method.startswith(_QUIET):
        log.info("call", method=method, code=code, duration_ms=round(seconds * 1000, 2))
