"""Adds every call of this service to its caller's trace."""

from __future__ import annotations

from contextlib import ExitStack

import structlog

from keeper_grpc.rpc.interceptors.concern import OURS, Call, Concern
from keeper_grpc.spans import Spans, mark_end


class Trace(Concern):
    """Makes a span for each call, a child of the span in the caller's `traceparent`.

    The call's log lines carry the trace id. The listener of the call's end passes it on to `note_end`.
    """

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def begin(self, call: Call) -> None:
        """Make the span current for the duration of the call."""
        if not call.method.startswith(OURS):
            return
        around = ExitStack()
        metadata = call.context.invocation_metadata() or ()
        trace_id = around.enter_context(self._spans.call(call.method.removeprefix("/"), metadata))
        structlog.contextvars.bind_contextvars(trace_id=trace_id)
        call.undo.append(around.close)

    def end(self, call: Call) -> None:
        """End the span."""
        for undo in call.undo:
            undo()


def note_end(method: str, code: str, *, streaming: bool, seconds: float) -> None:  # noqa: ARG001 - as EndListener says
    """Set the status of the call's span."""
    if method.startswith(OURS):
        mark_end(code)
