from __future__ import annotations

import uuid
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import GetPatternRequest
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, question
from tests.rpc.service import Service

OURS = ("keeper.network.v1.NetworkLearningService", "keeper.network.v1.AdminService")
SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("name", ["", *OURS])
async def test_a_ready_service_is_serving(service: Service, name: str) -> None:
    """Health answers for the process and for each service of ours."""
    health: Any = health_pb2_grpc.HealthStub(service.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
    assert answer.status == SERVING
    watch = health.Watch(health_pb2.HealthCheckRequest(service=name))
    assert (await watch.read()).status == SERVING
    watch.cancel()


async def test_health_does_not_know_strangers(service: Service) -> None:
    """A misspelt service is NOT_FOUND, not healthy."""
    health: Any = health_pb2_grpc.HealthStub(service.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health.Check(health_pb2.HealthCheckRequest(service="keeper.Nothing"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("given", ["4bf92f3577b34da6", "a" * 64, str(uuid.UUID(int=7))])
async def test_a_callers_request_id_comes_back(service: Service, topic: str, given: str) -> None:
    """The id that the caller chose names the call, in success and in failure."""
    metadata = (("x-request-id", given),)
    call = service.network.CapturePattern(capture(topic), metadata=metadata)
    await call
    assert dict(await call.trailing_metadata())["x-request-id"] == given
    bad = service.network.GetPattern(GetPatternRequest(), metadata=metadata)
    await refusal(bad)
    assert dict(await bad.trailing_metadata())["x-request-id"] == given


@pytest.mark.parametrize(
    "given",
    [
        "abc123",
        "a" * 65,
        "acct-00001234-main",
        "15125550134",
        "0001-512-555-0134",
        "4111111111111111",
        "two words and a 'quote'",
    ],
)
async def test_an_unfit_request_id_is_replaced(service: Service, topic: str, given: str) -> None:
    """What could forge a log line, or be an account, a telephone or a card, never gets there."""
    call = service.network.CapturePattern(capture(topic), metadata=(("x-request-id", given),))
    await call
    echoed = dict(await call.trailing_metadata())["x-request-id"]
    assert isinstance(echoed, str)
    assert echoed != given
    assert uuid.UUID(hex=echoed)


async def test_log_lines_name_the_call_and_never_its_content(service: Service, topic: str) -> None:
    """Id, method, code and duration of every call; no text, account or identifier of any."""
    secret = "Quillonia Farnsworthy"
    asked = question(topic, f"Call {secret}", account="acct-secret", script=f"Dear {secret}")
    asked.identifiers.customer_names.append(secret)
    invalid = capture(topic, f"Call {secret}", request_id="secret-request")
    bind = structlog.contextvars.merge_contextvars
    first, second = uuid.uuid4().hex, uuid.uuid4().hex
    with structlog.testing.capture_logs(processors=[bind]) as lines:
        await service.network.EnhanceInsight(asked, metadata=(("x-request-id", first),))
        await refusal(service.network.CapturePattern(invalid, metadata=(("x-request-id", second),)))
    calls = [line for line in lines if line["event"] == "call"]
    assert [(line["call_id"], line["code"]) for line in calls] == [
        (first, "OK"),
        (second, "INVALID_ARGUMENT"),
    ]
    for line in calls:
        assert set(line) == {"event", "log_level", "call_id", "method", "code", "duration_ms"}
        assert line["duration_ms"] > 0
    assert calls[0]["method"].endswith("/EnhanceInsight")
    for words in ("uillonia", "acct-secret", "secret-request", topic):
        assert words not in repr(lines)


async def test_an_unknown_method_is_unimplemented(service: Service) -> None:
    """A client of a newer API learns that this server does not know the call."""
    call = service.channel.unary_unary(
        "/keeper.network.v1.NetworkLearningService/Nothing",
        request_serializer=bytes,
        response_deserializer=bytes,
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
