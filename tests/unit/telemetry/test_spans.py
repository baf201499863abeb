from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from keeper_grpc.embedding.batching import BatchingEmbedder
from keeper_grpc.embedding.cache import CachedEmbedder
from keeper_grpc.spans import Spans, in_a_recorded_call, mark_end
from tests.unit.embedding.gated_embedder import GatedEmbedder

PARENT = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]


@pytest.fixture
def kept() -> Iterator[InMemorySpanExporter]:
    """Every span that has ended."""
    exporter = InMemorySpanExporter()
    yield exporter
    exporter.shutdown()


@pytest.fixture
def spans(kept: InMemorySpanExporter) -> Iterator[Spans]:
    """Spans that go there."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    yield Spans(provider.get_tracer("test"))
    provider.shutdown()


def test_a_failing_step_tells_the_kind_of_error_and_no_word_of_it(
    spans: Spans, kept: InMemorySpanExporter
) -> None:
    """Neither the error nor what is behind it is quoted, in the step or in the call around it."""

    def fail() -> None:
        with (
            spans.call("service/Method", PARENT),
            spans.step("step"),
            spans.request("request", {}),
        ):
            raise ValueError("for Maria") from KeyError("Maria")

    with pytest.raises(ValueError, match="for Maria"):
        fail()
    assert [span.name for span in kept.get_finished_spans()] == [
        "request",
        "step",
        "service/Method",
    ]
    for span in kept.get_finished_spans():
        assert not span.events
        assert "Maria" not in span.to_json()
    (request, step, _) = kept.get_finished_spans()
    assert {request.attributes and request.attributes["error.type"]} == {"ValueError"}
    assert {step.attributes and step.attributes["error.type"]} == {"ValueError"}


@pytest.mark.parametrize(("code", "status"), [("NOT_FOUND", "UNSET"), ("UNAVAILABLE", "ERROR")])
def test_only_our_faults_are_errors_of_the_call(
    spans: Spans, kept: InMemorySpanExporter, code: str, status: str
) -> None:
    """What a caller did wrong is no error of this service."""
    with spans.call("service/Method", PARENT):
        mark_end(code)
    (span,) = kept.get_finished_spans()
    assert span.status.status_code.name == status
    assert not span.status.description


@pytest.mark.parametrize("given", ["", "nonsense", "00-0-0-01", b"\xff"])
def test_a_traceparent_that_cannot_be_read_begins_a_trace(
    spans: Spans, kept: InMemorySpanExporter, given: str | bytes
) -> None:
    """A caller's mistake costs it the connection of the traces, and nothing else."""
    with spans.call("service/Method", [("traceparent", given)]) as trace_id:
        pass
    (span,) = kept.get_finished_spans()
    assert span.parent is None
    assert int(trace_id, 16)


def test_outside_of_a_call_there_are_no_spans(spans: Spans, kept: InMemorySpanExporter) -> None:
    """Background work has no trace, and propagates none."""
    with spans.step("step"), spans.request("request", {}) as headers:
        assert headers == {}
        assert not in_a_recorded_call()
    assert kept.get_finished_spans() == ()


def test_without_a_tracer_there_is_nothing(kept: InMemorySpanExporter) -> None:
    """Blocks run as if the spans were not there."""
    spans = Spans()
    assert not spans.on
    with spans.call("a/b", PARENT), spans.step("step"), spans.request("r", {}) as headers:
        assert headers == {}
    assert kept.get_finished_spans() == ()


async def test_a_batch_stands_in_its_first_callers_trace_and_points_to_the_others(
    spans: Spans, kept: InMemorySpanExporter
) -> None:
    """Each caller's trace shows its wait; the work that they share is in one, with links."""
    inner = GatedEmbedder()
    batching = BatchingEmbedder(inner, window=0.0, max_in_flight=1, spans=spans)
    cached = CachedEmbedder(batching, spans=spans)

    async def caller(text: str) -> None:
        with spans.call(text, []):
            await cached.embed([text])

    inner.gate.clear()
    calls = [asyncio.create_task(caller("busy"))]
    await inner.called(1)
    calls += [asyncio.create_task(caller(text)) for text in ("first", "second")]
    for _ in range(10):  # the window (zero) ends while the only slot is taken
        await asyncio.sleep(0)
    inner.gate.set()
    await asyncio.gather(*calls)
    await cached.aclose()

    assert inner.calls == [["busy"], ["first", "second"]]
    ended = kept.get_finished_spans()
    of = {span.name: span.context.span_id for span in ended if span.name in ("first", "second")}
    waits = {
        span.parent.span_id: span.context.span_id
        for span in ended
        if span.name == "embed" and span.parent is not None
    }
    (batch,) = [span for span in ended if span.name == "embed batch" and span.links]
    assert batch.parent is not None
    assert batch.parent.span_id == waits[of["first"]]
    assert [link.context.span_id for link in batch.links] == [waits[of["second"]]]
