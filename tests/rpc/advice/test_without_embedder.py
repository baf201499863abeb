"""What callers get while the embedding model does not answer, and afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightResponse,
    EnhanceInsightsRequest,
    PreviewInsightRequest,
)
from tests.e2e.waiting import SOON
from tests.integration.openai_stand_in import OpenAIStandIn, Status
from tests.rpc.feedback import ask, report, teach
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, insight, new_account, question
from tests.rpc.service import Service, openai, running

OBSERVED = "SELECT count(*) FROM observations WHERE pattern_type = $1"
LEFT_ALONE = EnhanceInsightResponse.NO_MATCH_REASON_EMBEDDER_UNAVAILABLE


@pytest.fixture
async def service(database_url: str, embeddings: OpenAIStandIn) -> AsyncIterator[Service]:
    """A service whose circuit opens with the first failure and stays open."""
    settings = openai(
        embeddings.base_url,
        openai_circuit_failures=1,
        openai_circuit_pause=timedelta(hours=1),
    )
    async with running(database_url, **settings) as started:
        yield started


async def fail(service: Service, embeddings: OpenAIStandIn, topic: str) -> None:
    """Let the model fail once."""
    embeddings.then(Status(500))
    refused = await refusal(service.network.CapturePattern(capture(topic, "Offer a cold towel")))
    assert refused.reason == "EMBEDDER_UNAVAILABLE"


async def test_a_question_is_answered_unenhanced_and_its_outcome_counts(
    service: Service, embeddings: OpenAIStandIn, topic: str
) -> None:
    """The reason says that nothing was looked for; the question is kept, but not as a sighting, and its outcome is one."""
    await teach(service, topic, ["+++", "+++", "+++"])
    known, account = new_account(), new_account()
    assert (await ask(service, topic, known)).enhanced_insight.network_enhanced
    await fail(service, embeddings, topic)

    requests = len(embeddings.bodies)
    answer = await ask(service, topic, account, "Offer a warm bath")

    assert answer.no_match_reason == LEFT_ALONE
    assert not answer.enhanced_insight.network_enhanced
    assert answer.enhanced_insight.confidence == answer.enhanced_insight.base_confidence
    assert answer.enhanced_insight.insight.action == "Offer a warm bath"
    assert not answer.HasField("closest_miss")
    assert len(embeddings.bodies) == requests
    stored = await service.value(
        "SELECT no_match_reason FROM enhancements WHERE id = $1::text::uuid", answer.enhancement_id
    )
    assert stored == "embedder_unavailable"
    assert not await service.value(
        "SELECT count(*) FROM sightings WHERE pattern_type = $1 AND action = 'Offer a warm bath'",
        topic,
    )
    # What was embedded before needs no model.
    assert (await ask(service, topic, known)).enhanced_insight.network_enhanced
    before = await service.value(OBSERVED, topic)
    await service.network.ReportOutcome(report(account, answer.enhancement_id))
    assert await service.value(OBSERVED, topic) == before + 1


async def test_captures_and_previews_are_refused_and_say_when_to_come_back(
    service: Service, embeddings: OpenAIStandIn, topic: str
) -> None:
    """Nothing is stored or waited for: a retry with the same request_id counts once the model is back."""
    await fail(service, embeddings, topic)
    requests = len(embeddings.bodies)
    for call in (
        service.network.CapturePattern(capture(topic)),
        service.network.PreviewInsight(PreviewInsightRequest(insight=insight(topic))),
    ):
        refused = await refusal(call)
        assert refused.code is grpc.StatusCode.UNAVAILABLE
        assert refused.reason == "EMBEDDER_UNAVAILABLE"
        # Until the circuit lets a request through.
        assert refused.retry_seconds is not None
        assert 1_000 < refused.retry_seconds <= 3_600
    assert len(embeddings.bodies) == requests


async def test_questions_of_streams_are_answered_as_well(
    service: Service, embeddings: OpenAIStandIn, topic: str
) -> None:
    """Each has a response with the reason, not an error."""
    await fail(service, embeddings, topic)
    questions = [
        EnhanceInsightsRequest(
            correlation_id=str(number), request=question(topic, f"Offer {number} teas")
        )
        for number in range(3)
    ]
    answers = [answer async for answer in service.network.EnhanceInsights(iter(questions))]
    assert [answer.response.no_match_reason for answer in answers] == [LEFT_ALONE] * 3


async def test_the_service_stays_ready_and_comes_back_by_itself(
    database_url: str, embeddings: OpenAIStandIn, topic: str
) -> None:
    """Degraded is not down; the first answer of the model ends it, and outcomes of its time may be reported."""
    settings = openai(
        embeddings.base_url,
        openai_circuit_failures=1,
        openai_circuit_pause=timedelta(milliseconds=1),
    )
    async with running(database_url, **settings) as service:
        account = new_account()
        embeddings.then(Status(500))
        answer = await ask(service, topic, account)
        assert answer.no_match_reason == LEFT_ALONE
        health: Any = HealthStub(service.channel)
        assert (await health.Check(HealthCheckRequest())).status == HealthCheckResponse.SERVING

        async with asyncio.timeout(SOON):
            while (await ask(service, topic, new_account())).no_match_reason == LEFT_ALONE:
                pass
        await service.network.ReportOutcome(report(account, answer.enhancement_id))
        assert await service.value(OBSERVED, topic) == 1
