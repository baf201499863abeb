from __future__ import annotations

import json
from typing import Any

import pytest
from connectrpc.client import ConnectClient
from connectrpc.code import Code
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.protocol import ProtocolType
from google.rpc.error_details_pb2 import ErrorInfo

from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from tests.e2e.waiting import SOON, until
from tests.rpc.http.browser import END_OF_STREAM, NETWORK, TRAILERS, framed, sent
from tests.rpc.http.test_json import port_of
from tests.rpc.requests import capture, question
from tests.rpc.service import Service

EVERY_PROTOCOL = pytest.mark.parametrize("protocol", [ProtocolType.CONNECT, ProtocolType.GRPC_WEB])
EVERY_CODEC = pytest.mark.parametrize(
    "codec", [google_protobuf_binary_codec(), google_protobuf_json_codec()], ids=["binary", "json"]
)


def method(name: str, kind: StreamType) -> MethodInfo[Any, Any]:
    """A method of the service, as generated code describes it."""
    return MethodInfo(
        name=name,
        service_name="keeper.network.v1.NetworkLearningService",
        input=getattr(network, f"{name}Request"),
        output=getattr(network, f"{name}Response"),
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=kind,
    )


CAPTURE = method("CapturePattern", StreamType.UNARY)
EMERGING = method("StreamEmergingPatterns", StreamType.SERVER_STREAM)
METRICS = method("StreamNetworkMetrics", StreamType.SERVER_STREAM)
ENHANCE = method("EnhanceInsights", StreamType.BIDI_STREAM)


def caller(service: Service, protocol: ProtocolType, codec: Any) -> ConnectClient:
    """Connect's own client, of this protocol and encoding."""
    return ConnectClient(
        f"http://127.0.0.1:{port_of(service)}",
        protocol=protocol,
        codec=codec,
        timeout_ms=int(SOON * 1000),
    )


@EVERY_PROTOCOL
@EVERY_CODEC
async def test_every_protocol_and_encoding_is_answered(
    service: Service, topic: str, protocol: ProtocolType, codec: Any
) -> None:
    """A unary call and its typed error, by Connect and by gRPC-Web, binary and JSON."""
    async with caller(service, protocol, codec) as client:
        request = capture(topic)
        await client.execute_unary(request=request, method=CAPTURE)
        again = await client.execute_unary(request=request, method=CAPTURE)
        with pytest.raises(ConnectError) as refused:
            await client.execute_unary(
                request=network.CapturePatternRequest(account_id="a"), method=CAPTURE
            )

    assert again.replayed
    assert refused.value.code is Code.INVALID_ARGUMENT
    info = next(each for each in refused.value.details if each.type_name.endswith("ErrorInfo"))
    assert ErrorInfo.FromString(info.message_bytes).reason == "INVALID_REQUEST"


@EVERY_PROTOCOL
@EVERY_CODEC
async def test_a_server_stream_begins_with_its_snapshot_and_goes_on(
    service: Service, topic: str, protocol: ProtocolType, codec: Any
) -> None:
    """The snapshot, then heartbeats while the stream stays open; each message carries the resume token."""
    async with caller(service, protocol, codec) as client:
        stream = client.execute_server_stream(
            request=network.StreamEmergingPatternsRequest(pattern_type=topic), method=EMERGING
        )
        first = await anext(stream)
        second = await anext(stream)

    assert first.WhichOneof("event") == "snapshot_complete"
    assert first.resume_token
    assert second.WhichOneof("event") == "heartbeat"


async def test_a_stream_of_metrics_begins_with_a_report(service: Service) -> None:
    """Streams whose handler writes messages rather than bytes are served as well."""
    async with caller(service, ProtocolType.CONNECT, google_protobuf_json_codec()) as client:
        stream = client.execute_server_stream(
            request=network.StreamNetworkMetricsRequest(), method=METRICS
        )
        first = await anext(stream)

    assert first.WhichOneof("event") == "report"


async def test_many_questions_are_answered_in_half_duplex(service: Service, topic: str) -> None:
    """All questions first, then all answers, one of them an error of its own: what HTTP/1.1 can do."""
    questions = [
        network.EnhanceInsightsRequest(correlation_id=str(number), request=question(topic))
        for number in range(40)
    ]
    questions.append(network.EnhanceInsightsRequest(correlation_id="bad"))

    async def ask() -> Any:
        for each in questions:
            yield each

    async with caller(service, ProtocolType.CONNECT, google_protobuf_binary_codec()) as client:
        answers = [each async for each in client.execute_bidi_stream(request=ask(), method=ENHANCE)]

    assert {each.correlation_id for each in answers} == {each.correlation_id for each in questions}
    assert [each.correlation_id for each in answers if each.HasField("error")] == ["bad"]


async def test_connects_stream_ends_with_a_frame_that_has_the_error(service: Service) -> None:
    """The status of a stream is its last frame, JSON with the details, after a response of 200."""
    request = framed(json.dumps({"resumeToken": "no token of ours"}).encode())
    async with sent(
        port_of(service),
        f"{NETWORK}StreamEmergingPatterns",
        request,
        content_type="application/connect+json",
    ) as exchange:
        status, headers = await exchange.head()
        frames = [each async for each in exchange.frames()]

    assert (status, headers["content-type"]) == (200, "application/connect+json")
    ((flags, content),) = frames
    assert flags == END_OF_STREAM
    error = json.loads(content)["error"]
    assert error["code"] == "invalid_argument"
    assert error["details"][0]["debug"]["reason"] == "RESUME_TOKEN_INVALID"


async def test_grpc_web_frames_its_message_and_its_trailers(service: Service, topic: str) -> None:
    """A message frame, then a trailers frame with the status, as gRPC-Web's specification has them."""
    async with sent(
        port_of(service),
        f"{NETWORK}CapturePattern",
        framed(capture(topic).SerializeToString()),
        content_type="application/grpc-web+proto",
        x_grpc_web="1",
    ) as exchange:
        status, headers = await exchange.head()
        frames = [each async for each in exchange.frames()]

    assert (status, headers["content-type"]) == (200, "application/grpc-web+proto")
    (flags, content), (last, trailers) = frames
    assert flags == 0
    assert network.CapturePatternResponse.FromString(content).replayed is False
    assert last == TRAILERS
    assert b"grpc-status: 0" in trailers


async def test_damaged_bytes_are_refused_and_not_a_defect(service: Service) -> None:
    """What is no message is INVALID_ARGUMENT over gRPC-Web as over gRPC."""
    async with sent(
        port_of(service),
        f"{NETWORK}CapturePattern",
        framed(b"\xff\xff\xff"),
        content_type="application/grpc-web+proto",
    ) as exchange:
        _, headers = await exchange.head()
        trailers = b"".join([content async for _, content in exchange.frames()])

    assert b"grpc-status: 3" in trailers or headers.get("grpc-status") == "3"


async def test_a_reader_that_leaves_ends_its_stream(service: Service, topic: str) -> None:
    """A closed connection ends the handler, which no drain then waits for."""
    server = service.app._server
    before = server.calls_in_flight
    async with sent(
        port_of(service),
        f"{NETWORK}StreamEmergingPatterns",
        framed(json.dumps({"patternType": topic}).encode()),
        content_type="application/connect+json",
    ) as exchange:
        await exchange.head()
        assert server.calls_in_flight == before + 1

    await until(lambda: server.calls_in_flight == before, within=SOON, what="the handler ends")


async def test_a_change_comes_as_json_where_json_was_asked_for(
    service: Service, topic: str
) -> None:
    """A change that the server serialized once for all its readers is one of them."""
    request = framed(json.dumps({"patternType": topic}).encode())
    async with sent(
        port_of(service),
        f"{NETWORK}StreamEmergingPatterns",
        request,
        content_type="application/connect+json",
    ) as exchange:
        await exchange.head()
        for _ in range(3):
            await service.network.CapturePattern(capture(topic))
        async for _, content in exchange.frames():
            message = json.loads(content)
            if "emergingPattern" in message:
                break

    assert message["emergingPattern"]["patternType"] == topic
    assert message["resumeToken"]
