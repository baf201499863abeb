from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from keeper_grpc.admission.kinds import Kind, lanes
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2, network_service_pb2
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightsRequest,
    GetNetworkMetricsRequest,
    GetPatternRequest,
)
from keeper_grpc.rpc.interceptors.admission import KINDS
from tests.e2e.waiting import POLL, SOON
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.refusal import Refusal, read, refusal
from tests.rpc.requests import capture, new_topic, question
from tests.rpc.service import Service, openai, running
from tests.rpc.telemetry.scraped import scrape

NOBODYS = "00000000-0000-4000-8000-000000000000"
PRESSURE = "keeper_admission_pressure"
AT_ONCE = {kind: lane.at_most for kind, lane in lanes().items()}


@pytest.fixture
async def held(embeddings: OpenAIStandIn) -> AsyncIterator[OpenAIStandIn]:
    """The embeddings API, which answers nothing new until the end of the test."""
    yield embeddings
    embeddings.release()


@pytest.fixture
async def loaded(database_url: str, embeddings: OpenAIStandIn) -> AsyncIterator[Service]:
    """A service of the test's own, whose load is no other test's."""
    async with running(
        database_url, metrics_port=0, **openai(embeddings.base_url, openai_concurrency=1_000)
    ) as service:
        yield service


async def metric(service: Service, name: str, **labels: str) -> float:
    """What the service exports now."""
    return (await scrape(service)).value(name, **labels)


async def until_metric(service: Service, least: float, name: str, **labels: str) -> None:
    """Wait until a metric has reached a value."""
    async with asyncio.timeout(SOON):
        while await metric(service, name, **labels) < least:  # noqa: ASYNC110 - a scrape sets no event
            await asyncio.sleep(POLL)


def test_every_call_has_its_kind() -> None:
    """A new RPC decides what it counts as before it is served."""
    served = {
        f"/{service.full_name}/{method.name}"
        for file in (network_service_pb2, admin_service_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert KINDS.keys() == served


async def test_more_than_can_be_done_is_refused_and_the_rest_goes_on(
    loaded: Service, held: OpenAIStandIn
) -> None:
    """While questions only come and none ends, the next are refused with a time to come back; health, writes and
    operators' calls are as ever, and so are questions once those end.
    """
    topic = new_topic()
    known = capture(topic)
    await loaded.network.CapturePattern(known)
    held.hold()
    refused: list[Refusal] = []
    tasks: list[asyncio.Task[Any]] = []

    async def ask(number: int) -> None:
        try:
            await loaded.network.EnhanceInsight(question(topic, f"Offer {number} towels"))
        except grpc.aio.AioRpcError as error:
            refused.append(read(error))

    async with asyncio.timeout(SOON):
        while not refused:
            tasks += [asyncio.create_task(ask(len(tasks) + more)) for more in range(10)]
            await asyncio.sleep(POLL)
    first = refused[0]
    assert (first.code, first.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_BUSY")
    assert first.retry_seconds is not None
    assert first.retry_seconds >= 0.5
    assert await metric(loaded, "keeper_admission_shed_total", kind="question") >= 1

    health: Any = health_pb2_grpc.HealthStub(loaded.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert (await loaded.network.CapturePattern(known)).replayed
    await loaded.admin.ListAuditEvents(admin_service_pb2.ListAuditEventsRequest())
    found = await refusal(loaded.network.GetPattern(GetPatternRequest(pattern_id=NOBODYS)))
    assert found.reason == "PATTERN_NOT_FOUND"

    held.release()
    await asyncio.gather(*tasks)
    async with asyncio.timeout(SOON):
        while await metric(loaded, PRESSURE, kind="question"):  # noqa: ASYNC110 - as above
            await asyncio.sleep(POLL)
    await loaded.network.EnhanceInsight(question(topic))


async def test_a_refusal_under_pressure_names_its_call_and_is_counted(
    loaded: Service, held: OpenAIStandIn
) -> None:
    """It comes before the call is read, has the whole status, and is in the metrics and in the log, there with others."""
    topic = new_topic()
    held.hold()
    tasks: list[asyncio.Task[Any]] = []
    refused: dict[str, grpc.aio.AioRpcError] = {}

    async def ask(number: int) -> None:
        call_id = uuid.uuid4().hex
        asked = question(topic, f"Offer {number} towels")
        try:
            await loaded.network.EnhanceInsight(asked, metadata=(("x-request-id", call_id),))
        except grpc.aio.AioRpcError as error:
            refused[call_id] = error

    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as lines:
        async with asyncio.timeout(SOON):
            while not any(line["event"] == "calls_refused" for line in lines):
                tasks += [asyncio.create_task(ask(len(tasks) + more)) for more in range(10)]
                await asyncio.sleep(POLL)
        held.release()
        await asyncio.gather(*tasks)
    seen = {line.get("call_id") for line in lines}
    unread = [error for call_id, error in refused.items() if call_id not in seen]
    assert {read(error).reason for error in unread} == {"TOO_BUSY"}
    for call_id, error in refused.items():
        assert dict(error.trailing_metadata() or ())["x-request-id"] == call_id
    told = next(line for line in lines if line["event"] == "calls_refused")
    assert told["method"].endswith("/EnhanceInsight")
    assert told["code"] == "RESOURCE_EXHAUSTED"
    assert told["calls"] >= 1
    labels = {"method": "NetworkLearningService/EnhanceInsight", "code": "RESOURCE_EXHAUSTED"}
    counted = await metric(loaded, "keeper_rpc_duration_seconds_count", **labels)
    assert counted >= len(unread)


async def test_streams_leave_the_way_free_for_calls(loaded: Service, held: OpenAIStandIn) -> None:
    """24 streams with hundreds of questions each hold what streams may have, and a call is answered beside them."""
    topic = new_topic()
    known = question(topic)
    await loaded.network.EnhanceInsight(known)
    held.hold()

    async def ask(stream: int) -> None:
        async def questions() -> AsyncIterator[EnhanceInsightsRequest]:
            for number in range(400):
                yield EnhanceInsightsRequest(
                    correlation_id=str(number),
                    request=question(topic, f"Offer {number} towels to {stream}"),
                )

        async for _ in loaded.network.EnhanceInsights(questions()):
            pass

    tasks = [asyncio.create_task(ask(stream)) for stream in range(24)]
    try:
        await until_metric(loaded, 1, "keeper_admission_in_progress", kind="stream_question")
        # Each stream that has no question in progress has one that waits, and is read no further.
        await until_metric(loaded, 1, "keeper_admission_waiting", kind="stream_question")
        for _ in range(20):
            await loaded.network.EnhanceInsight(known)
        exported = await scrape(loaded)
        in_progress = exported.value("keeper_admission_in_progress", kind="stream_question")
        waiting = exported.value("keeper_admission_waiting", kind="stream_question")
        assert 1 <= in_progress <= AT_ONCE[Kind.STREAM_QUESTION]
        assert waiting <= 24
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await until_metric(loaded, 0, "keeper_admission_in_progress", kind="stream_question")


async def test_who_does_not_read_holds_no_turn(loaded: Service) -> None:
    """Streams whose answers nobody reads end their turns all the same: another stream is answered."""
    topic = new_topic()
    known = question(topic)
    await loaded.network.EnhanceInsight(known)
    unread = [loaded.network.EnhanceInsights() for _ in range(20)]

    async def write(call: Any) -> None:
        for number in range(400):
            await call.write(EnhanceInsightsRequest(correlation_id=str(number), request=known))

    writing = [asyncio.create_task(write(call)) for call in unread]
    try:
        await until_metric(loaded, 20, "keeper_admission_admitted_total", kind="stream_question")
        asked = [EnhanceInsightsRequest(correlation_id="read", request=known)] * 50
        async with asyncio.timeout(SOON):
            answers = [each async for each in loaded.network.EnhanceInsights(iter(asked))]
        assert [each.HasField("response") for each in answers] == [True] * 50
        await loaded.network.EnhanceInsight(known)
    finally:
        for each in writing:
            each.cancel()
        for call in unread:
            call.cancel()
        await asyncio.gather(*writing, return_exceptions=True)


async def test_reports_do_not_queue_behind_a_database_that_stalls(database_of_its_own: str) -> None:
    """Those that wait for their turn fail with the one whose statement timed out, and are not tried one by one."""
    async with running(
        database_of_its_own, metrics_port=0, statement_timeout=timedelta(seconds=2)
    ) as service:
        async with service.database.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE daily_measures IN ACCESS EXCLUSIVE MODE")
            ends = await asyncio.gather(
                *(
                    refusal(service.network.GetNetworkMetrics(GetNetworkMetricsRequest()))
                    for _ in range(20)
                )
            )
        assert {end.reason for end in ends} == {"STORAGE_UNAVAILABLE"}
        begun = await metric(service, "keeper_admission_admitted_total", kind="report")
        assert begun < 20


async def test_a_call_without_a_deadline_has_the_servers(database_of_its_own: str) -> None:
    """A report that has its turn and does not end is ended, and one that waits for its turn is refused."""
    async with (
        running(database_of_its_own, read_deadline=timedelta(seconds=1)) as service,
        service.database.acquire() as connection,
        connection.transaction(),
    ):
        await connection.execute("LOCK TABLE daily_measures IN ACCESS EXCLUSIVE MODE")
        ends = await asyncio.gather(
            *(
                refusal(service.network.GetNetworkMetrics(GetNetworkMetricsRequest()))
                for _ in range(AT_ONCE[Kind.REPORT] + 3)
            )
        )
        reasons = sorted(end.reason for end in ends)
    assert set(reasons) == {"CALL_DURATION_EXCEEDED", "TOO_BUSY"}
    assert reasons.count("TOO_BUSY") >= 1
