from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1 import network_service_pb2
from tests.e2e.waiting import SOON, until
from tests.integration.openai_stand_in import Fault, OpenAIStandIn, Status, Step
from tests.rpc.refusal import Refusal, refusal
from tests.rpc.requests import capture, question
from tests.rpc.service import OPENAI_KEY, Service, openai, running

ATTEMPT_TIMEOUT = 2.0
TABLES = (
    "observations",
    "network_patterns",
    "pattern_scripts",
    "pattern_accounts",
    "sightings",
    "enhancements",
)
FAILURES: dict[str, Step] = {
    "429": Status(429),
    "429 with Retry-After": Status(429, {"Retry-After": "0.2"}),
    "500": Status(500),
    "503": Status(503),
    "hang": Fault.HANG,
    "malformed": Fault.MALFORMED,
    "not JSON": Fault.NOT_JSON,
    "disconnect": Fault.DISCONNECT,
    "too few vectors": Fault.TOO_FEW,
    "narrow vectors": Fault.NARROW,
    "NaN": Fault.NAN,
}


@pytest.fixture(scope="module")
async def service(database_url: str, embeddings: OpenAIStandIn) -> AsyncIterator[Service]:
    """A service that tries each embedding once, and not for long."""
    impatient = openai(
        embeddings.base_url,
        openai_attempt_timeout=timedelta(seconds=ATTEMPT_TIMEOUT),
        enhance_without_embedder=False,
    )
    async with running(database_url, **impatient) as started:
        yield started


async def rows(service: Service) -> dict[str, int]:
    """The number of rows of every table that an answered call writes."""
    return {
        table: await service.value(f"SELECT count(*) FROM {table}")  # noqa: S608 - constants
        for table in TABLES
    }


def check(refused: Refusal) -> None:
    """UNAVAILABLE, when to come back, and nothing of the backend's words or our key."""
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert (refused.domain, refused.reason) == ("network.keeper", "EMBEDDER_UNAVAILABLE")
    assert refused.retry_seconds is not None
    assert refused.retry_seconds > 0
    assert OPENAI_KEY not in refused.message
    assert "towel" not in refused.message


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_capture_that_cannot_be_embedded_stores_nothing_and_may_be_retried(
    service: Service, embeddings: OpenAIStandIn, topic: str, failure: str
) -> None:
    """Whatever the backend does, the caller may retry with the same request_id, and does count."""
    request = capture(topic)
    before = await rows(service)
    embeddings.then(FAILURES[failure])
    check(await refusal(service.network.CapturePattern(request)))
    assert await rows(service) == before
    # A server's Retry-After is honoured: until it is over, calls wait.
    answer = await service.network.CapturePattern(request)
    assert not answer.replayed
    assert (await rows(service))["observations"] == before["observations"] + 1


@pytest.mark.parametrize("failure", ["429", "500", "hang", "malformed"])
async def test_a_question_that_cannot_be_embedded_is_not_recorded(
    service: Service, embeddings: OpenAIStandIn, topic: str, failure: str
) -> None:
    """No enhancement without an answer."""
    before = await rows(service)
    embeddings.then(FAILURES[failure])
    check(await refusal(service.network.EnhanceInsight(question(topic))))
    assert await rows(service) == before
    answer = await service.network.EnhanceInsight(question(topic))
    assert answer.enhancement_id


async def test_the_servers_retry_after_is_passed_on(
    database_url: str, embeddings: OpenAIStandIn, topic: str
) -> None:
    """A backend that wants to be left alone for longer than a call lasts says so to the caller."""
    async with running(database_url, **openai(embeddings.base_url)) as left_alone:
        embeddings.then(Status(429, {"Retry-After": "45"}))
        refused = await refusal(left_alone.network.CapturePattern(capture(topic)))
    assert refused.retry_seconds is not None
    # Less by what passed since the backend said so.
    assert 30 < refused.retry_seconds <= 45


async def test_what_was_embedded_before_needs_no_backend(
    service: Service, embeddings: OpenAIStandIn, topic: str
) -> None:
    """Known texts are answered from the cache while the backend is down."""
    await service.network.CapturePattern(capture(topic))
    asked = len(embeddings.bodies)
    embeddings.then(Status(500))
    stored = await service.capture(capture(topic))
    assert stored.disposition == "merged"
    assert len(embeddings.bodies) == asked
    # Uses the planned failure up, so that it does not meet the next test.
    check(await refusal(service.network.CapturePattern(capture(topic, "Offer a cold towel"))))


async def test_a_call_takes_no_longer_than_the_server_allows(
    database_url: str, embeddings: OpenAIStandIn, topic: str
) -> None:
    """A client without a deadline gets the server's."""
    settings = openai(embeddings.base_url, max_call_duration=timedelta(milliseconds=300))
    async with running(database_url, **settings) as hasty:
        embeddings.hold()
        try:
            refused = await refusal(hasty.network.CapturePattern(capture(topic)))
        finally:
            embeddings.release()
    assert refused.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert refused.reason == "CALL_DURATION_EXCEEDED"


async def test_a_callers_deadline_ends_its_call_only(
    service: Service, embeddings: OpenAIStandIn, topic: str
) -> None:
    """Two callers wait for one text: one gives up, the other gets its answer."""
    embeddings.hold()
    server = service.app._server
    before = server.calls_in_flight
    patient = service.network.CapturePattern(capture(topic))
    waiting = asyncio.ensure_future(_answer(patient))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.network.CapturePattern(capture(topic), timeout=0.2)
    # A caller knows of its deadline before the server does, which would still write what it was given by then.
    await until(lambda: server.calls_in_flight == before + 1, within=SOON, what="the call is ended")
    embeddings.release()
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert not (await waiting).replayed
    observed = await service.value(
        "SELECT count(*) FROM observations WHERE pattern_type = $1", topic
    )
    assert observed == 1


async def _answer(call: grpc.aio.UnaryUnaryCall) -> network_service_pb2.CapturePatternResponse:  # type: ignore[type-arg]  # generic in the stubs only
    answer: network_service_pb2.CapturePatternResponse = await call
    return answer
