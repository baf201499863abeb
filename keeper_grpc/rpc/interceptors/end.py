"""Reports the status code and duration of every call to its listeners."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import grpc

from keeper_grpc.rpc.interceptors.around import Around, Call


class EndListener(Protocol):
    """Receives the end of a call: its full method, the name of its code, its duration in seconds."""

    def __call__(self, method: str, code: str, *, streaming: bool, seconds: float) -> None: ...


class TellEnd(Around):
    """Calls the listeners at the end of every call, successful or not."""

    def __init__(self, *listeners: EndListener) -> None:
        self._listeners = listeners

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Measure the call and report its end."""
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
            seconds = time.perf_counter() - start
            for listener in self._listeners:
                listener(call.method, code, streaming=call.streaming, seconds=seconds)


def _name(code: object) -> str:
    """The context returns a StatusCode or its number, depending on how it was set."""
    if isinstance(code, grpc.StatusCode):
        return code.name
    return next((c.name for c in grpc.StatusCode if c.value[0] == code), "UNKNOWN")
