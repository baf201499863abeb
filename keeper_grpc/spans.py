"""Spans: what a call spent its time on, told in the trace of its caller.

The one door to OpenTelemetry's tracing API for those who handle calls, statements and requests. No
attribute of a span may hold a text, an account or a key, so spans take names and numbers that this
program's authors wrote, and never what an exception says: by default OpenTelemetry keeps its message
and those of all exceptions behind it, and a database's may quote a row.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACEPARENT = "traceparent"
"""The header of W3C Trace Context that names trace and span. Its companions are left aside: what callers
put into `tracestate` and `baggage` could be anything, and would go on to whoever gets the spans."""

OUR_FAULT = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""Codes that make a served call an error of the server (OpenTelemetry's conventions for gRPC)."""

Place: TypeAlias = Span
"""Where in a trace something belongs. Nobody but this module looks into it."""

_PROPAGATOR = TraceContextTextMapPropagator()


class Spans:
    """Makes spans, or nothing at next to no cost where nobody traces."""

    def __init__(self, tracer: trace.Tracer | None = None) -> None:
        self._tracer = tracer

    @property
    def on(self) -> bool:
        """Whether anybody traces."""
        return self._tracer is not None

    @contextmanager
    def call(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> Iterator[str]:
        """Around a call that is served, in the trace that its metadata name: the trace's id.

        `mark_end` says how it ended.
        """
        given = next((value for key, value in metadata if key == TRACEPARENT), "")
        parent = _PROPAGATOR.extract({TRACEPARENT: str(given)}, otel.Context())
        attributes = {"rpc.system.name": "grpc", "rpc.method": method}
        with self._around(method, SpanKind.SERVER, attributes, parent) as span:
            yield trace.format_trace_id(span.get_span_context().trace_id)

    @contextmanager
    def step(
        self, name: str, *, links: Sequence[Place] = (), **attributes: str | int
    ) -> Iterator[None]:
        """Around a part of a call. `links` are places in other calls that it also works for."""
        if not self._in_a_call():
            yield
            return
        with self._around(name, SpanKind.INTERNAL, attributes, links=links) as span, _failing(span):
            yield

    @contextmanager
    def request(
        self, name: str, attributes: Mapping[str, str | int]
    ) -> Iterator[Mapping[str, str]]:
        """Around what a call asks of another service: the headers that hand on the trace."""
        if not self._in_a_call():
            yield {}
            return
        with self._around(name, SpanKind.CLIENT, attributes) as span, _failing(span):
            carrier: dict[str, str] = {}
            _PROPAGATOR.inject(carrier)
            yield carrier

    def _in_a_call(self) -> bool:
        """The background's work would be nothing but traces of one span each."""
        return self._tracer is not None and current().get_span_context().is_valid

    @contextmanager
    def _around(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, str | int],
        parent: otel.Context | None = None,
        links: Sequence[Place] = (),
    ) -> Iterator[Span]:
        if self._tracer is None:
            yield INVALID_SPAN
            return
        span = self._tracer.start_span(
            name, parent, kind, attributes, [Link(place.get_span_context()) for place in links]
        )
        with trace.use_span(
            span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            yield span


@contextmanager
def _failing(span: Span) -> Iterator[None]:
    """Mark a span whose block fails, with the kind of the error and no word of it."""
    try:
        yield
    except Exception as error:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR))
        raise


def mark_end(code: str) -> None:
    """Tell the current span, that of a call, the name of the code with which the call ends."""
    span = trace.get_current_span()
    span.set_attribute("rpc.response.status_code", code)
    if code in OUR_FAULT:
        span.set_status(Status(StatusCode.ERROR))


def mark_failed(kind: str) -> None:
    """Tell the current span that what it is around failed without an exception, and how."""
    span = trace.get_current_span()
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def in_a_recorded_call() -> bool:
    """Whether there is a span that somebody will see."""
    return trace.get_current_span().is_recording()


def current() -> Place:
    """The place in a trace at which this is called."""
    return trace.get_current_span()


def context_of(place: Place) -> contextvars.Context:
    """A context for a task that works for the call at this place, and knows nothing else of it."""
    context = contextvars.Context()
    if place is not INVALID_SPAN:
        context.run(otel.attach, trace.set_span_in_context(place, otel.Context()))
    return context
