from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ForgetAccountRequest
from keeper_grpc.gen.keeper.network.v1.metrics_pb2 import Kpi, Metric
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetNetworkMetricsRequest,
    GetNetworkMetricsResponse,
    GetPatternRequest,
    StreamNetworkMetricsRequest,
    StreamNetworkMetricsResponse,
)
from tests.e2e.waiting import SOON
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.feedback import ask, report, teach
from tests.rpc.refusal import Refusal, read, refusal
from tests.rpc.requests import capture, new_account, new_topic
from tests.rpc.service import Service, openai, running

if TYPE_CHECKING:
    Stream: TypeAlias = grpc.aio.UnaryStreamCall[
        StreamNetworkMetricsRequest, StreamNetworkMetricsResponse
    ]

TAUGHT = ["+++", "+++", "++-"]
SCRIPT = "Hi {name}, a warm towel is waiting for you"


async def metrics(
    service: Service, *, days: int | None = None, category: str = ""
) -> GetNetworkMetricsResponse:
    """GetNetworkMetrics."""
    request = GetNetworkMetricsRequest(business_category=category)
    if days is not None:
        request.window.FromTimedelta(timedelta(days=days))
    return await service.network.GetNetworkMetrics(request)


def kpi(told: GetNetworkMetricsResponse, name: Kpi.Name.ValueType) -> Kpi:
    """One KPI."""
    (found,) = [kpi for kpi in told.kpis if kpi.name == name]
    return found


@asynccontextmanager
async def watching(service: Service, category: str = "") -> AsyncIterator[Stream]:
    """An open stream; cancelled at the end of the block."""
    stream: Stream = service.network.StreamNetworkMetrics(
        StreamNetworkMetricsRequest(business_category=category)
    )
    try:
        yield stream
    finally:
        stream.cancel()


async def next_message(stream: Stream) -> StreamNetworkMetricsResponse:
    """The next message of any kind."""
    async with asyncio.timeout(SOON):
        message = await stream.read()
    assert isinstance(message, StreamNetworkMetricsResponse)
    return message


async def next_report(stream: Stream) -> GetNetworkMetricsResponse:
    """The next message that is no heartbeat."""
    while (message := await next_message(stream)).WhichOneof("event") != "report":
        pass
    return message.report


async def ended(stream: Stream) -> Refusal:
    """The error that ends a stream, whatever comes before."""
    async with asyncio.timeout(SOON):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _exhaust(stream)
    return read(caught.value)


async def _exhaust(stream: Stream) -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass


def moment(message: Timestamp) -> datetime:
    """A time (UTC)."""
    return message.ToDatetime(tzinfo=UTC)


async def test_captures_questions_and_outcomes_are_counted(service: Service, topic: str) -> None:
    """A line of business of its own: nine captures, three questions of which one misses, two reports."""
    await teach(service, topic, TAUGHT, category="bakery")
    asker, other = new_account(), new_account()
    given = [await ask(service, topic, who, category="bakery") for who in (asker, other)]
    assert all(one.enhanced_insight.network_enhanced for one in given)
    await ask(service, new_topic(), asker, category="bakery")
    for who, one, success in zip((asker, other), given, (True, False), strict=True):
        await service.network.ReportOutcome(
            report(who, one.enhancement_id, success=success, revenue_impact=40.0)
        )
    told = await metrics(service, category="bakery")
    assert not told.withheld
    assert "bakery" in told.business_categories
    assert "bakery" in (await metrics(service, category="nobody")).business_categories
    assert told.metrics.patterns_discovered == Metric(
        value=1, unit=Metric.UNIT_COUNT, sample_size=1
    )
    # Two accounts asked and reported: what they asked and what came of it is theirs.
    assert not told.metrics.total_success_applications.HasField("value")
    assert not told.metrics.revenue_generated_network.HasField("value")
    assert told.metrics.enhanced_rate.sample_size == 0
    assert told.published_pattern_count == 1
    (day,) = told.days
    assert (day.observation_count, day.question_count, day.enhanced_count) == (11, 0, 0)
    assert (day.patterns_discovered, day.advised_count, day.advised_success_count) == (1, 0, 0)
    assert moment(told.window_start_time) <= moment(day.start_time) <= moment(told.as_of_time)

    third = new_account()
    enhanced = await ask(service, topic, third, category="bakery")
    await service.network.ReportOutcome(report(third, enhanced.enhancement_id, revenue_impact=20.0))
    told = await metrics(service, category="bakery")
    assert told.metrics.enhanced_rate.sample_size == 4
    assert not told.metrics.enhanced_rate.HasField("value")
    assert (told.days[0].question_count, told.days[0].enhanced_count) == (4, 3)
    assert told.metrics.total_success_applications.value == 2
    assert told.metrics.total_success_applications.sample_size == 3
    assert (told.days[0].advised_count, told.days[0].advised_success_count) == (3, 2)
    assert told.metrics.revenue_generated_network.value == 100.0
    assert kpi(told, Kpi.NAME_REVENUE_PER_PATTERN).metric.value == 100.0
    assert kpi(told, Kpi.NAME_REVENUE_PER_PATTERN).status == Kpi.STATUS_MISSED
    assert kpi(told, Kpi.NAME_PATTERN_ACCURACY).status == Kpi.STATUS_NOT_ENOUGH_DATA

    await service.admin.ForgetAccount(ForgetAccountRequest(account_id=third))
    told = await metrics(service, category="bakery")
    assert not told.metrics.total_success_applications.HasField("value")
    assert told.metrics.total_success_applications.sample_size == 0


async def test_a_report_of_too_few_accounts_is_withheld(service: Service, topic: str) -> None:
    """Each of two bakeries could compute the other's numbers; a line of business without accounts has none."""
    await teach(service, topic, ["+++", "+++"], category="florist")
    for category in ("florist", "nobody"):
        told = await metrics(service, category=category)
        assert told.withheld
        assert category not in told.business_categories
        assert not told.HasField("metrics")
        assert not told.kpis
        assert not told.days
        assert told.as_of_time.seconds


async def test_the_window_leaves_out_what_is_older(service: Service, topic: str) -> None:
    """Outcomes count on the day on which they occurred."""
    long_ago = datetime.now(UTC) - timedelta(days=60)
    for _ in range(3):
        request = capture(topic, category="dentist")
        request.occurred_time.FromDatetime(long_ago)
        await service.network.CapturePattern(request)
    assert (await metrics(service, category="dentist")).withheld
    told = await metrics(service, days=90, category="dentist")
    assert [moment(day.start_time).date() for day in told.days] == [long_ago.date()]


async def test_a_stream_reports_at_once_and_on_every_change(service: Service, topic: str) -> None:
    """First what is, then what changes it; between them heartbeats, and no report that is the same."""
    await teach(service, topic, TAUGHT, category="tailor")
    async with watching(service, "tailor") as stream:
        first = await next_report(stream)
        assert first.days[0].observation_count == 9
        assert (await next_message(stream)).WhichOneof("event") == "heartbeat"
        await service.network.CapturePattern(capture(topic, category="tailor"))
        second = await next_report(stream)
        assert second.days[0].observation_count == 10
        # What happens elsewhere makes another version, but not another report of this line.
        await service.network.CapturePattern(capture(topic, category="spa"))
        for _ in range(6):
            assert (await next_message(stream)).WhichOneof("event") == "heartbeat"


async def test_many_changes_make_one_report_a_second(service: Service, topic: str) -> None:
    """A burst of captures makes one report: never more than one a second."""
    await teach(service, topic, TAUGHT, category="barber")
    async with watching(service, "barber") as stream:
        await next_report(stream)
        times = []
        for _ in range(3):
            await asyncio.gather(
                *(
                    service.network.CapturePattern(capture(topic, category="barber"))
                    for _ in range(10)
                )
            )
            times.append(moment((await next_report(stream)).as_of_time))
        assert times[2] - times[0] >= timedelta(seconds=1.9)


async def test_a_stream_ends_at_its_age_and_at_a_drain(
    database_url: str, embeddings: OpenAIStandIn
) -> None:
    """Both times with UNAVAILABLE: another stream goes on with a whole report."""
    settings: dict[str, Any] = openai(embeddings.base_url)
    short = settings | {"stream_max_age": timedelta(seconds=1)}
    async with running(database_url, **short) as service, watching(service) as stream:
        assert (await ended(stream)).reason == "STREAM_MAX_AGE"
    async with running(database_url, **settings) as service, watching(service) as stream:
        await next_report(stream)
        drain = asyncio.ensure_future(service.app.drain())
        assert (await ended(stream)).reason == "SHUTTING_DOWN"
        await drain


async def test_a_patterns_history_adds_up_to_its_evidence(service: Service, topic: str) -> None:
    """Its wordings with their evidence, and periods of which none is of too few accounts."""
    pattern_id = await teach(service, topic, TAUGHT, script=SCRIPT)
    for week in range(4):
        request = capture(topic, script=SCRIPT)
        request.occurred_time.FromDatetime(datetime.now(UTC) - timedelta(weeks=week + 1))
        await service.network.CapturePattern(request)
    told = await service.network.GetPattern(
        GetPatternRequest(pattern_id=pattern_id, include_history=True)
    )
    assert [script.template for script in told.scripts] == [told.pattern.proven_script]
    assert told.scripts[0].evidence.account_count == 7
    assert sum(period.occurrence_count for period in told.history) == 13
    assert sum(period.success_count for period in told.history) == 12
    assert len(told.history) == 2
    plain = await service.network.GetPattern(GetPatternRequest(pattern_id=pattern_id))
    assert plain.pattern == told.pattern
    assert not plain.history


async def test_the_history_of_an_unpublished_pattern_is_not_found(
    service: Service, topic: str
) -> None:
    """As the pattern itself."""
    pattern_id = await teach(service, topic, ["++", "++"])
    refused = await refusal(
        service.network.GetPattern(GetPatternRequest(pattern_id=pattern_id, include_history=True))
    )
    assert refused.reason == "PATTERN_NOT_FOUND"
