from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from keeper_grpc.domain.insight import RENDERING
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightsRequest,
    StreamEmergingPatternsRequest,
)
from keeper_grpc.storage.patterns.groups import PostgresGroup
from tests.e2e.waiting import SOON
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.integration.openai_stand_in import Status as HttpStatus
from tests.rpc.accounts import test_canaries as canaries
from tests.rpc.requests import capture, insight, new_account, new_topic, question
from tests.rpc.service import OPENAI_KEY, PSEUDONYM_KEYS, Service, openai, running
from tests.rpc.telemetry.otlp_stand_in import OtlpStandIn

SERVICE = "keeper.network.v1.NetworkLearningService"


@asynccontextmanager
async def traced(database_url: str, **settings: Any) -> AsyncIterator[tuple[Service, OtlpStandIn]]:
    """A service whose spans and metrics go to a collector, which has them all after the block."""
    with pytest.MonkeyPatch.context() as environment:
        async with OtlpStandIn() as collector:
            environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
            environment.setenv("OTEL_SERVICE_NAME", "keeper-of-a-test")
            environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")  # ms
            environment.setenv("OTEL_METRIC_EXPORT_INTERVAL", "200")  # ms
            async with running(database_url, **settings) as service:
                yield service, collector


@dataclass(frozen=True)
class Traced:
    """A traced service and what it sends to."""

    service: Service
    collector: OtlpStandIn
    embeddings: OpenAIStandIn


@pytest.fixture(scope="module")
async def world(database_url: str) -> AsyncIterator[Traced]:
    """The module's service; its tests distinguish their spans by the trace."""
    async with (
        OpenAIStandIn() as embeddings,
        traced(database_url, **openai(embeddings.base_url)) as (service, collector),
    ):
        yield Traced(service, collector, embeddings)


class Caller:
    """A caller that traces: the ids that it sends, and the metadata that carry them."""

    def __init__(self, *, sampled: bool = True) -> None:
        self.trace_id = uuid.uuid4().hex
        self.span_id = uuid.uuid4().hex[:16]
        flags = "01" if sampled else "00"
        self.metadata = (
            ("traceparent", f"00-{self.trace_id}-{self.span_id}-{flags}"),
            ("tracestate", "vendor=canarystate"),
            ("baggage", "account=canarybaggage"),
        )

    async def spans(self, collector: OtlpStandIn, call: str) -> dict[str, Span]:
        """The spans of this caller's trace, by name, once that of the call has come."""

        def ours() -> dict[str, Span]:
            return {s.name: s for s in collector.spans() if s.trace_id.hex() == self.trace_id}

        await collector.has(lambda: f"{SERVICE}/{call}" in ours())
        return ours()


def lineage(spans: dict[str, Span], name: str) -> list[str]:
    """A span and those it is within, the outermost last."""
    by_id = {span.span_id: span for span in spans.values()}
    found, span = [], spans.get(name)
    while span is not None:
        found.append(span.name)
        span = by_id.get(span.parent_span_id)
    return found


async def test_one_trace_goes_from_the_caller_to_sql_and_the_embeddings_api(world: Traced) -> None:
    """The caller's traceparent is the parent of the call, which is that of all that it leads to."""
    caller = Caller()
    before = len(world.embeddings.headers)
    await world.service.network.CapturePattern(capture(new_topic()), metadata=caller.metadata)

    spans = await caller.spans(world.collector, "CapturePattern")
    call, request = f"{SERVICE}/CapturePattern", "embeddings text-embedding-3-small"
    assert spans[call].parent_span_id.hex() == caller.span_id
    assert spans[call].kind == Span.SPAN_KIND_SERVER
    assert attributes(spans[call])["rpc.response.status_code"] == "OK"
    assert lineage(spans, request) == [request, "embed batch", "embed", call]
    assert lineage(spans, "INSERT observations") == ["INSERT observations", call]
    assert lineage(spans, "COMMIT") == ["COMMIT", call]
    # The look into the cache is another task's, and still this call's.
    assert lineage(spans, "SELECT embedding_cache") == ["SELECT embedding_cache", "embed", call]
    (sent,) = world.embeddings.headers[before:]
    assert sent["traceparent"] == f"00-{caller.trace_id}-{spans[request].span_id.hex()}-01"
    assert sent.keys().isdisjoint({"tracestate", "baggage"})


async def test_metrics_go_to_the_collector_too(world: Traced) -> None:
    """The same instruments, under their OpenTelemetry names, from who OTEL_SERVICE_NAME says."""
    await world.service.network.CapturePattern(capture(new_topic()))
    await world.collector.has(lambda: "keeper.captures" in world.collector.metric_names())
    assert {"keeper.rpc.duration", "keeper.ready"} <= world.collector.metric_names()
    assert world.collector.service_names() == {"keeper-of-a-test"}


async def test_questions_of_a_stream_are_in_the_trace_of_the_stream(world: Traced) -> None:
    """Each question has a span of its own, and what it does is within that."""
    good = EnhanceInsightsRequest(correlation_id="1", request=question(new_topic()))
    for asked, code in ((good, "OK"), (EnhanceInsightsRequest(), "INVALID_ARGUMENT")):
        caller = Caller()
        stream = world.service.network.EnhanceInsights(iter([asked]), metadata=caller.metadata)
        assert [answer.correlation_id async for answer in stream] == [asked.correlation_id]

        spans = await caller.spans(world.collector, "EnhanceInsights")
        one = "EnhanceInsights question"
        assert attributes(spans[one])["rpc.response.status_code"] == code
        assert lineage(spans, one) == [one, f"{SERVICE}/EnhanceInsights"]
        if code == "OK":
            written = lineage(spans, "INSERT enhancements")
            assert written == ["INSERT enhancements", *lineage(spans, one)]


async def test_a_stream_that_is_cancelled_has_its_span(
    world: Traced, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also a reader that goes away ends its span, and the trace's context is put back in order."""
    caller = Caller()
    stream = world.service.network.StreamEmergingPatterns(
        StreamEmergingPatternsRequest(), metadata=caller.metadata
    )
    await stream.read()
    stream.cancel()

    spans = await caller.spans(world.collector, "StreamEmergingPatterns")
    span = spans[f"{SERVICE}/StreamEmergingPatterns"]
    assert attributes(span)["rpc.response.status_code"] == "CANCELLED"
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert "detach" not in "".join(capfd.readouterr())


async def test_a_call_names_its_trace_in_the_log(
    world: Traced, capfd: pytest.CaptureFixture[str]
) -> None:
    """From a log line one finds the trace."""
    caller = Caller()
    await world.service.network.CapturePattern(capture(new_topic()), metadata=caller.metadata)
    await caller.spans(world.collector, "CapturePattern")
    (line,) = [ln for ln in "".join(capfd.readouterr()).splitlines() if "CapturePattern" in ln]
    assert caller.trace_id in line


async def test_a_call_that_its_caller_does_not_sample_is_not_sent(world: Traced) -> None:
    """The caller decides, as the standard's default sampler has it; the decision is passed on."""
    unseen, seen = Caller(sampled=False), Caller()
    before = len(world.embeddings.headers)
    for caller in (unseen, seen):
        await world.service.network.CapturePattern(capture(new_topic()), metadata=caller.metadata)

    await seen.spans(world.collector, "CapturePattern")
    assert unseen.trace_id not in {span.trace_id.hex() for span in world.collector.spans()}
    passed_on = [head["traceparent"].split("-")[1::2] for head in world.embeddings.headers[before:]]
    assert passed_on == [[unseen.trace_id, "00"], [seen.trace_id, "01"]]


async def test_the_background_makes_no_traces(world: Traced) -> None:
    """Polling the database five times a second would be nothing but noise: every root is a call."""
    await world.service.network.CapturePattern(capture(new_topic()))
    await world.collector.has(lambda: any(not s.parent_span_id for s in world.collector.spans()))
    roots = {span.kind for span in world.collector.spans() if not span.parent_span_id}
    assert roots == {Span.SPAN_KIND_SERVER}


def attributes(span: Span) -> dict[str, str]:
    """The attributes of a span, as text."""
    return {
        item.key: item.value.string_value or str(item.value.int_value) for item in span.attributes
    }


async def test_a_failing_request_says_how_but_not_what(world: Traced) -> None:
    """The API quotes the input and the key in its errors; the span has the kind of failure alone."""
    caller = Caller()
    world.embeddings.then(HttpStatus(500))
    with pytest.raises(grpc.aio.AioRpcError):
        await world.service.network.CapturePattern(
            capture(new_topic(), "Offer a towel"), metadata=caller.metadata
        )

    spans = await caller.spans(world.collector, "CapturePattern")
    request = spans["embeddings text-embedding-3-small"]
    assert request.status.code == Status.STATUS_CODE_ERROR
    assert attributes(request)["error.type"] == "openai_refused"
    assert attributes(spans["embed"])["error.type"] == "EmbedderUnavailable"
    call = spans[f"{SERVICE}/CapturePattern"]
    assert attributes(call)["rpc.response.status_code"] == "UNAVAILABLE"
    assert "towel" not in str(spans).lower()


async def test_a_statement_that_fails_does_not_quote_its_row(
    world: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL's detail holds values: neither the statement's span nor the call's repeats them."""

    async def failing(self: PostgresGroup, *_: Any) -> None:
        with pytest.raises(asyncpg.UniqueViolationError, match="canaryrow"):
            await duplicate(self._connection)
        await duplicate(self._connection)

    async def duplicate(connection: Any) -> None:
        await connection.execute("CREATE TEMPORARY TABLE IF NOT EXISTS rows (name text UNIQUE)")
        async with connection.transaction():
            await connection.execute("INSERT INTO rows VALUES ('canaryrow'), ('canaryrow')")

    monkeypatch.setattr(PostgresGroup, "count", failing)
    caller = Caller()
    with pytest.raises(grpc.aio.AioRpcError):
        await world.service.network.CapturePattern(capture(new_topic()), metadata=caller.metadata)

    spans = await caller.spans(world.collector, "CapturePattern")
    assert attributes(spans["INSERT rows"])["error.type"] == "UniqueViolationError"
    assert spans[f"{SERVICE}/CapturePattern"].status.code == Status.STATUS_CODE_ERROR
    assert "canaryrow" not in everything(world.collector)


def everything(collector: OtlpStandIn) -> str:
    """All that the collector was sent, in lower case."""
    return "\n".join(str(message) for message in collector.received).lower()


async def test_no_canary_leaves_in_spans_or_metrics(database_url: str) -> None:
    """Every method called with identifying texts: no text, account, pseudonym or key is exported."""
    async with (
        OpenAIStandIn() as embeddings,
        traced(database_url, **openai(embeddings.base_url)) as (service, collector),
    ):
        topic = new_topic()
        account = new_account()
        await service.network.CapturePattern(
            capture(topic, account=account), metadata=Caller().metadata
        )
        await canaries.call_everything(service)
        keys = [row[0] for row in await service.database.fetch("SELECT account_key FROM accounts")]
        kept = insight(topic)
    sent = everything(collector)
    # A search that has nothing to search proves nothing.
    assert {f"{SERVICE}/{name}" for name in METHODS} <= {span.name for span in collector.spans()}
    assert "keeper.anonymizer.drops" in collector.metric_names()
    assert canaries.found(sent) == []
    secrets = [OPENAI_KEY, PSEUDONYM_KEYS.partition(":")[2], account, topic, kept.action, *keys]
    assert keys
    assert [secret for secret in secrets if secret.lower() in sent] == []
    assert "canary" not in sent
    assert RENDERING in sent  # the model's id, which is nobody's secret


METHODS = (
    "CapturePattern",
    "EnhanceInsight",
    "EnhanceInsights",
    "ReportOutcome",
    "GenerateTask",
    "SuggestMoves",
    "ListPatterns",
    "GetPattern",
    "StreamEmergingPatterns",
)


async def test_an_absent_collector_neither_fails_calls_nor_holds_the_stop(
    database_of_its_own: str,
) -> None:
    """What cannot be sent is given up at the stop, however long the exporter would try."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", str(10 * SOON))
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        async with asyncio.timeout(SOON), running(database_of_its_own) as service:
            await service.network.CapturePattern(capture(new_topic()))
