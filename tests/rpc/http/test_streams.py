from __future__ import annotations

import asyncio
import json
import socket
import struct
from datetime import timedelta
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
from tests.rpc.service import PATIENT, Service, running

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


@pytest.mark.parametrize("rpc", ["EnhanceInsights", "StreamMoves"])
@pytest.mark.parametrize(
    "body",
    [
        struct.pack(">BI", 0, 2**31) + b"x",
        framed(b"{}")[:-1],
        framed(b"{}", flags=0x40),
        framed(b"no gzip", flags=1),
        framed(json.dumps({"correlationId": "x" * 300_000}).encode()),
    ],
    ids=["promises too much", "cut off", "of unknown flags", "not compressed", "too large"],
)
async def test_a_stream_of_what_is_no_message_is_refused_and_no_defect(
    service: Service, rpc: str, body: bytes
) -> None:
    """INVALID_ARGUMENT, as one message that cannot be read: a caller cannot fill the log with errors of ours."""
    async with (
        asyncio.timeout(SOON),
        sent(
            port_of(service),
            NETWORK + rpc,
            body,
            content_type="application/connect+json",
            connect_content_encoding="gzip",
        ) as exchange,
    ):
        await exchange.head()
        answered = b"".join([content async for _, content in exchange.frames()])
    assert b"INVALID_REQUEST" in answered
    assert b"INTERNAL" not in answered


async def test_a_caller_that_does_not_read_loses_its_connection(database_url: str) -> None:
    """Its stream is cut off, and so is the connection, which no drain waits for."""
    async with running(
        database_url,
        http_address=("127.0.0.1", 0),
        stream_heartbeat=timedelta(microseconds=1),
        stream_stall=timedelta(seconds=1),
        drain_grace=PATIENT,
    ) as service:
        with socket.socket() as caller:
            # Small buffers fill soon; there are some megabytes of heartbeats in the server's all the same.
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            caller.connect(("127.0.0.1", port_of(service)))
            body = framed(b"{}")
            caller.sendall(
                f"POST {NETWORK}StreamEmergingPatterns HTTP/1.1\r\nhost: here\r\n"
                "content-type: application/connect+json\r\n"
                f"content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            server = service.app._server
            await until(lambda: server.calls_in_flight == 1, within=SOON, what="the stream begins")
            await until(lambda: server.calls_in_flight == 0, within=SOON, what="it is cut off")
            async with asyncio.timeout(SOON / 2):
                await service.app.drain()


async def test_a_caller_that_does_not_ask_loses_its_connection(database_url: str) -> None:
    """A head of a request that never becomes whole is not waited for without end."""
    async with running(
        database_url, http_address=("127.0.0.1", 0), max_call_duration=timedelta(seconds=1)
    ) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(service))
        try:
            writer.write(b"POST / HTTP/1.1\r\nhost: ")
            async with asyncio.timeout(SOON):
                assert await _read_to_the_end(reader) == b""
        finally:
            writer.close()


async def _read_to_the_end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
