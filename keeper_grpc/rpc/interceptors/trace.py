"""Adds every call of this service to its caller's trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from keeper_grpc.rpc.interceptors.around import OURS, Around, Call
from keeper_grpc.spans import Spans, mark_end


class Trace(Around):
    """Makes a span for each call, a child of the span in the caller's `traceparent`.

    The call's log lines carry the trace id. The listener of the call's end passes it on to `note_end`.
    """

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Make the span current for the duration of the call."""
        if not call.method.startswith(OURS):
            yield
            return
        metadata = call.context.invocation_metadata() or ()
        with (
            self._spans.call(call.method.removeprefix("/"), metadata) as trace_id,
            structlog.contextvars.bound_contextvars(trace_id=trace_id),
        ):
            yield


def note_end(method: str, code: str, *, streaming: bool, seconds: float) -> None:  # noqa: ARG001 - as EndListener says
    """Set the status of the call's span."""
    if method.startswith(OURS):
        mark_end(code)
