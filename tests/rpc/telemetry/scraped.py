"""A service whose metrics are read after some traffic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightsRequest,
    GetNetworkMetricsRequest,
    StreamEmergingPatternsRequest,
)
from tests.integration.openai_stand_in import OpenAIStandIn, Status
from tests.rpc.feedback import react
from tests.rpc.requests import capture, new_account, new_topic, question
from tests.rpc.service import Service, openai, running
from tests.rpc.telemetry.exported import Exported


@dataclass(frozen=True)
class Scraped:
    """A service after some traffic, and what it exported then."""

    service: Service
    exported: Exported
    accounts: list[str]
    topic: str


async def traffic(service: Service, embeddings: OpenAIStandIn, topic: str) -> list[str]:
    """Calls that reach every instrument; the accounts that made them."""
    accounts = [new_account() for _ in range(4)]
    requests = [capture(topic, account=account) for account in accounts[:3]]
    # A key that names a customer is dropped; the same request again is a replay.
    requests[0].insight.conditions.update({"customer_name": "Zorabella Quintavalle"})
    requests[0].insight.script = "Tell us your card number"
    for request in (*requests, requests[0]):
        await service.network.CapturePattern(request)
    given = await service.network.EnhanceInsight(question(topic, account=accounts[3]))
    await service.network.ReportReaction(react(accounts[3], given.enhancement_id, "SHOWN"))
    await service.network.EnhanceInsight(question(new_topic(), account=accounts[3]))
    questions = [
        EnhanceInsightsRequest(correlation_id="1", request=question(topic, account=accounts[3]))
    ]
    assert [answer async for answer in service.network.EnhanceInsights(iter(questions))]
    subscription = service.network.StreamEmergingPatterns(StreamEmergingPatternsRequest())
    await subscription.read()
    subscription.cancel()
    # More of them than may be made at once, so that some wait for their turn.
    metrics = GetNetworkMetricsRequest()
    await asyncio.gather(*(service.network.GetNetworkMetrics(metrics) for _ in range(8)))
    embeddings.then(Status(401))
    with pytest.raises(grpc.aio.AioRpcError):
        await service.network.EnhanceInsight(question(topic, "Sell candles", account=accounts[3]))
    health: Any = HealthStub(service.channel)
    await health.Check(HealthCheckRequest())
    return accounts


@asynccontextmanager
async def under_traffic(database_url: str) -> AsyncIterator[Scraped]:
    """A service that exports metrics, after traffic that reaches every one of them."""
    async with (
        OpenAIStandIn() as embeddings,
        running(
            database_url,
            metrics_port=0,
            enhance_without_embedder=False,
            **openai(embeddings.base_url),
        ) as service,
    ):
        topic = new_topic()
        accounts = await traffic(service, embeddings, topic)
        yield Scraped(service, await until_streams_ended(service), accounts, topic)


async def until_streams_ended(service: Service) -> Exported:
    """A scrape after both streams were counted: a cancellation has yet to reach the server."""
    async with asyncio.timeout(30):
        while True:
            exported = await scrape(service)
            if exported.value("keeper_rpc_streams_ended_total") >= 2:
                return exported
            await asyncio.sleep(0.01)


async def scrape(service: Service) -> Exported:
    """What a service exports now."""
    assert service.app.metrics_port is not None
    return await Exported.scrape(service.app.metrics_port)
