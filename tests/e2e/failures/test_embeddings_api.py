"""The embeddings API fails in every way, and the server's own process goes on without it."""

from __future__ import annotations

import asyncio
from itertools import count

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import EnhanceInsightResponse
from tests.e2e.calls import (
    SERVING,
    HealthWatch,
    capture,
    network,
    question,
    reason_of,
    retry_delay,
)
from tests.e2e.conftest import StartServer
from tests.e2e.waiting import SOON, until
from tests.integration.openai_stand_in import Fault, OpenAIStandIn, Status, Step

WITHOUT = EnhanceInsightResponse.NO_MATCH_REASON_EMBEDDER_UNAVAILABLE
OPENING = 2
FAULTS: dict[str, Step] = {
    "429": Status(429),
    "500": Status(500),
    "hanging": Fault.HANG,
    "slow": Fault.DRIP,
    "garbage": Fault.NOT_JSON,
    "gone": Fault.DISCONNECT,
}
ACTIONS = (f"Offer {number} towels on day {number}" for number in count(2))


@pytest.mark.timeout(600)
async def test_no_failure_of_the_embeddings_api_takes_the_server_down(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """Captures say when to come back, questions are answered unenhanced, health stays, and all of it ends by itself."""
    async with OpenAIStandIn() as embeddings:
        server = await start_server(
            database_url=database_of_its_own,
            KEEPER_EMBEDDER="openai",
            KEEPER_OPENAI_API_KEY="sk-of-a-test",
            KEEPER_OPENAI_BASE_URL=embeddings.base_url,
            KEEPER_OPENAI_ATTEMPT_TIMEOUT="1",
            KEEPER_OPENAI_MAX_RETRIES="0",
            KEEPER_OPENAI_CIRCUIT_FAILURES=str(OPENING),
            KEEPER_OPENAI_CIRCUIT_PAUSE="0.5",
        )
        async with server.channel() as channel:
            client, watch = network(channel), HealthWatch(channel)
            await until(lambda: watch.status == SERVING, within=SOON, what="ready")

            async def asked() -> int:
                request = question("a", next(ACTIONS), insight_type="towels")
                return (await client.EnhanceInsight(request)).no_match_reason

            for number, step in enumerate(FAULTS.values(), 1):
                embeddings.then(step, step)
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await client.CapturePattern(capture("a", next(ACTIONS)))
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
                assert reason_of(refused.value) == "EMBEDDER_UNAVAILABLE"
                assert retry_delay(refused.value) > 0
                assert await asked() == WITHOUT
                assert len(server.events("embedding_circuit_open")) == number
                async with asyncio.timeout(SOON):
                    while await asked() == WITHOUT:
                        pass
                assert len(server.events("embedding_circuit_closed")) == number
                await client.CapturePattern(capture("a", next(ACTIONS)))
                assert watch.status == SERVING
            await watch.close()
    assert not server.events("database_not_ready")
    assert not server.events("background_task_died")
    assert "Traceback" not in server.log.read_text()
