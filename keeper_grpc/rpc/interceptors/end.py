"""Reports the status code and duration of every call to its listeners."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import grpc

from keeper_grpc.rpc.interceptors.concern import Call, Concern, code_of


class EndListener(Protocol):
    """Receives the end of a call: its full method, the name of its code, its duration in seconds."""

    def __call__(self, method: str, code: str, *, streaming: bool, seconds: float) -> None: ...


class TellEnd(Concern):
    """Calls the listeners at the end of every call, successful or not."""

    def __init__(self, *listeners: EndListener) -> None:
        self._listeners = listeners

    def end(self, call: Call) -> None:
        """Report the end of the call."""
        seconds = time.perf_counter() - call.started
        code = _code(call)
        for listener in self._listeners:
            listener(call.method, code, streaming=call.streaming, seconds=seconds)


def _code(call: Call) -> str:
    match call.error:
        case asyncio.CancelledError() | GeneratorExit():
            return grpc.StatusCode.CANCELLED.name
        case None | grpc.aio.AbortError():
            return code_of(call)
        case _:
            return grpc.StatusCode.UNKNOWN.name
