"""One line a call: method, code, duration. Never a body."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import structlog

from keeper_grpc.rpc.interceptors.around import Around, Call

log = structlog.get_logger()

_QUIET = "/grpc.health.v1.Health/"
"""Probes call every few seconds; their lines would bury the others."""


class Log(Around):
    """Logs the end of every call, whatever it was."""

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Measure, and log however the call ends."""
        start = time.perf_counter()
        code = "UNKNOWN"
        try:
            yield
            # A handler may return after it has aborted.
            code = _name(call.context.code() or 0)
        except (asyncio.CancelledError, GeneratorExit):
            code = grpc.StatusCode.CANCELLED.name
            raise
        except grpc.aio.AbortError:
            code = _name(call.context.code())
            raise
        finally:
            if not call.method.startswith(_QUIET):
                log.info(
                    "call",
                    method=call.method,
                    code=code,
                    duration_ms=round((time.perf_counter() - start) * 1000, 2),
                )


def _name(code: object) -> str:
    """The context gives a StatusCode, or its number, depending on how it was set."""
    if isinstance(code, grpc.StatusCode):
        return code.name
    return next((c.name for c in grpc.StatusCode if c.value[0] == code), "UNKNOWN")
