"""Logs an unexpected exception without its message."""

from __future__ import annotations

import traceback

import structlog

log = structlog.get_logger()


def report_defect(method: str, error: Exception) -> None:
    """Log type and stack, never the message: a database's may quote a row.

    The stack is one line a frame, outermost first, each of file, line and function. The source lines
    that `traceback` would print beside them are left out: a literal in one may be somebody's.
    """
    log.error(
        "call_failed",
        method=method,
        error=type(error).__name__,
        stack="\n".join(
            f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
            for frame, line in traceback.walk_tb(error.__traceback__)
        ),
    )
