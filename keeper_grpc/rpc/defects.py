"""What the log gets of an error that nobody foresaw."""

from __future__ import annotations

import traceback

import structlog

log = structlog.get_logger()


def report_defect(method: str, error: Exception) -> None:
    """Log type and stack, never the message: a database's may quote a row."""
    log.error(
        "call_failed",
        method=method,
        error=type(error).__name__,
        stack="".join(traceback.format_tb(error.__traceback__)),
    )
