"""Spans of calls, statements and outgoing requests, in the trace of the caller.

The only module that uses OpenTelemetry's tracing API outside of telemetry/. No attribute of a span may
hold a text, an account or a key, so spans carry only names and numbers from this program's source,
never an exception's message: by default OpenTelemetry records it and those of its causes, and a
database's may quote a row.
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
"""The header of W3C Trace Context with trace and span id. `tracestate` and `baggage` are ignored:
callers may put anything into them, and it would reach the spans' recipients."""

OUR_FAULT = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""Codes that make a served call an error of the server (OpenTelemetry's conventions for gRPC)."""

Place: TypeAlias = Span
"""A position in a trace. Only this module interprets it."""

_PROPAGATOR = TraceContextTextMapPropagator()


class Spans:
    """Makes spans; without a tracer it does nothing, at almost no cost."""

    def __init__(self, tracer: trace.Tracer | None = None) -> None:
        self._tracer = tracer

    @property
    def on(self) -> bool:
        """Whether spans are recorded."""
        return self._tracer is not None

    @contextmanager
    def call(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> Iterator[str]:
        """A span around a served call, in the trace of its metadata. Yields the trace id.

        `mark_end` sets its status.
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
        """A span around a part of a call. `links` are positions in other calls that it also serves."""
        if not self._in_a_call():
            yield
            return
        with self._around(name, SpanKind.INTERNAL, attributes, links=links) as span, _failing(span):
            yield

    @contextmanager
    def request(
        self, name: str, attributes: Mapping[str, str | int]
    ) -> Iterator[Mapping[str, str]]:
        """A span around a request to another service. Yields the headers that propagate the trace."""
        if not self._in_a_call():
            yield {}
            return
        with self._around(name, SpanKind.CLIENT, attributes) as span, _failing(span):
            carrier: dict[str, str] = {}
            _PROPAGATOR.inject(carrier)
            yield carrier

    def _in_a_call(self) -> bool:
        """Whether work is part of a traced call: background work would be traces of one span each."""
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
    """Mark a span whose block fails with the type of the error, without its message."""
    try:
        yield
    except Exception as error:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR))
        raise


def mark_end(code: str) -> None:
    """Set the status code, by name, of the current call's span."""
    span = trace.get_current_span()
    span.set_attribute("rpc.response.status_code", code)
    if code in OUR_FAULT:
        span.set_status(Status(StatusCode.ERROR))


def mark_failed(kind: str) -> None:
    """Mark the current span as failed without an exception, with the kind of failure."""
    span = trace.get_current_span()
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def in_a_recorded_call() -> bool:
    """Whether the current span is recorded."""
    return trace.get_current_span().is_recording()


def current() -> Place:
    """The current position in a trace."""
    return trace.get_current_span()


def context_of(place: Place) -> contextvars.Context:
    """A context for a task that works for the call at this position, without its other variables."""
    context = contextvars.Context()
    if place is not INVALID_SPAN:
        context.run(otel.attach, trace.set_span_in_context(place, otel.Context()))
    return context
