"""Bytes that are no request: of every kind of call, an error of the caller's that it can read."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import pytest
import structlog
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from bench.fuzz.messages import nested
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightsRequest,
    EnhanceInsightsResponse,
    GetPatternRequest,
)
from keeper_grpc.rpc.interceptors.unreadable import MAX_RECEIVED_BYTES, MAX_REQUEST_BYTES
from tests.e2e.waiting import SOON, until
from tests.rpc import raw_http2
from tests.rpc.refusal import read, refusal
from tests.rpc.requests import capture, question
from tests.rpc.service import Service, running
from tests.rpc.telemetry.scraped import scrape

PATH = "/keeper.network.v1.NetworkLearningService/"
INVALID = grpc.StatusCode.INVALID_ARGUMENT

DAMAGED = {
    "no tag": b"\xff\xff\xff",
    "cut off": b"\x0a\x05ab",
    "surrogate": b"\x0a\x02\xed\xa0",
    "not UTF-8": b"\x0a\x01\xff",
    # A field that nobody knows, of as many bytes.
    "too large": b"\xfa\x07\x80\x80\x14" + b"x" * (5 * 2**16),
}
DEEP = nested(3_000)


def unary(service: Service, method: str = "GetPattern") -> Any:
    """A call that sends and gets bytes."""
    return service.channel.unary_unary(PATH + method)


def calls_of(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """The codes of the calls in a log without a defect."""
    assert [line for line in lines if line["log_level"] == "error"] == []
    return [line["code"] for line in lines if line["event"] == "call"]


async def logged(lines: Sequence[Mapping[str, Any]]) -> None:
    """Wait for a call's line: it is written when the call has ended, which its caller may hear of first."""
    await until(lambda: bool(calls_of(lines)), within=SOON, what="the call is logged")


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED.keys())
async def test_a_call_of_such_bytes_is_an_invalid_request(service: Service, body: bytes) -> None:
    """INVALID_ARGUMENT with a reason and the call's id; one line in the log, and no defect."""
    with structlog.testing.capture_logs() as lines:
        call = unary(service)(body)
        refused = await refusal(call)
        await logged(lines)
    assert (refused.code, refused.reason) == (INVALID, "INVALID_REQUEST")
    assert set(refused.fields) == {""}
    assert "x-request-id" in dict(await call.trailing_metadata())
    assert calls_of(lines) == ["INVALID_ARGUMENT"]


@pytest.mark.parametrize("method", ["StreamNetworkMetrics", "StreamEmergingPatterns"])
@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED.keys())
async def test_so_is_a_subscription(service: Service, method: str, body: bytes) -> None:
    """The stream ends at once, with the call's id in front."""
    with structlog.testing.capture_logs() as lines:
        subscribe: Any = service.channel.unary_stream(PATH + method)
        call = subscribe(body)
        assert "x-request-id" in dict(await call.initial_metadata())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        await logged(lines)
    refused = read(caught.value)
    assert (refused.code, refused.reason) == (INVALID, "INVALID_REQUEST")
    assert calls_of(lines) == ["INVALID_ARGUMENT"]


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED.keys())
async def test_in_a_stream_it_is_one_refused_question(
    service: Service, topic: str, body: bytes
) -> None:
    """Those before and after it are answered."""
    good = EnhanceInsightsRequest(correlation_id="good", request=question(topic))
    ask: Any = service.channel.stream_stream(PATH + "EnhanceInsights")
    call = ask(iter([good.SerializeToString(), body, good.SerializeToString()]))
    got = [EnhanceInsightsResponse.FromString(each) async for each in call]
    assert sum(each.HasField("response") for each in got) == 2
    (refused,) = (each.error for each in got if each.HasField("error"))
    assert refused.code == INVALID.value[0]
    assert reason(refused) == "INVALID_REQUEST"
    assert await call.code() is grpc.StatusCode.OK


def reason(status: Status) -> str:
    """The reason of a status."""
    info = ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return str(info.reason)


async def test_no_bytes_are_an_empty_request(service: Service) -> None:
    """A message of length zero is one without fields, which breaks the rules of those that it needs."""
    refused = await refusal(unary(service, "CapturePattern")(b""))
    assert (refused.code, refused.reason) == (INVALID, "INVALID_REQUEST")
    assert {"request_id", "account_id", "insight", "outcome"} <= set(refused.fields)


async def test_what_grpc_itself_does_not_let_in_ends_the_call(service: Service) -> None:
    """Beyond its own limit there is no reason of ours, and the next call is answered."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unary(service)(b"x" * (MAX_RECEIVED_BYTES + 1))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await refusal(unary(service)(b""))).code is INVALID


async def test_the_largest_request_is_read(service: Service, topic: str) -> None:
    """Up to the limit it is held against its rules, field by field."""
    request = capture(topic)
    request.identifiers.customer_names.extend(["x" * 1_000] * 250)
    assert request.ByteSize() < MAX_REQUEST_BYTES
    refused = await refusal(service.network.CapturePattern(request))
    # The last says how many more there are.
    named = set(refused.fields) - {""}
    assert named
    assert all(name.startswith("identifiers.customer_names") for name in named)


async def test_an_error_fits_into_its_trailers(service: Service, topic: str) -> None:
    """Of a request with a thousand violations the first are named, and how many there are."""
    request = capture(topic)
    request.identifiers.customer_names.extend(["x" * 200] * 1_000)
    request.identifiers.customer_names.extend(["y" * 300] * 100)
    refused = await refusal(service.network.CapturePattern(request))
    assert (refused.code, refused.reason) == (INVALID, "INVALID_REQUEST")
    assert 1 <= len(refused.fields) <= 40
    for word in ("conditions", "types"):
        request = capture(topic)
        request.insight.conditions.update({f"{word}{n}" * 40: {"a": "x" * 900} for n in range(60)})
        refused = await refusal(service.network.CapturePattern(request))
        assert refused.code is INVALID


async def test_messages_within_messages_without_end_are_refused_or_ignored(
    service: Service,
) -> None:
    """Neither a field that nobody knows, thousands of levels deep, nor a JSON value as deep overflows anything."""
    refused = await refusal(unary(service)(DEEP))
    assert refused.code is INVALID
    request = capture("deep_value")
    value: Any = 1
    for _ in range(40):
        value = [value]
    request.insight.conditions.update({"key": value})
    refused = await refusal(service.network.CapturePattern(request))
    assert set(refused.fields) == {"insight.conditions"}
    deeper = b""
    for _ in range(200):
        # A list within a list, as protobuf writes a Struct's.
        inner = b"\x0a" + length(deeper) + deeper
        deeper = b"\x32" + length(inner) + inner
    entry = b"\x0a\x01k\x12" + length(deeper) + deeper
    struct = b"\x0a" + length(entry) + entry
    insight = b"\x22" + length(struct) + struct
    refused = await refusal(unary(service, "CapturePattern")(b"\x1a" + length(insight) + insight))
    assert refused.code is INVALID


def length(body: bytes) -> bytes:
    """A length as protobuf writes it."""
    number, out = len(body), bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
async def test_numbers_that_are_none_are_refused_by_field(
    service: Service, topic: str, number: float
) -> None:
    """In a field of its own, and as a value of the conditions."""
    request = capture(topic, confidence=number)
    request.outcome.revenue_impact = number
    refused = await refusal(service.network.CapturePattern(request))
    assert {"insight.confidence", "outcome.revenue_impact"} <= set(refused.fields)
    request = capture(topic)
    request.insight.conditions.fields["key"].number_value = number
    refused = await refusal(service.network.CapturePattern(request))
    assert set(refused.fields) == {"insight.conditions"}


@pytest.mark.parametrize(
    "metadata",
    [
        (("x-request-id", "a"), ("x-request-id", "b" * 300)),
        tuple((f"x-many-{number}", "v" * 60) for number in range(50)),
        (("x-any-bin", bytes(range(256)) * 4),),
        (("traceparent", "ff" * 40), ("tracestate", "=,=")),
    ],
    ids=["an id twice", "many", "binary", "trace"],
)
async def test_metadata_of_any_kind_change_nothing(
    service: Service, metadata: tuple[tuple[str, str | bytes], ...]
) -> None:
    """The call is answered as without."""
    refused = await refusal(unary(service)(b"", metadata=metadata))
    assert refused.reason == "INVALID_REQUEST"


async def test_more_metadata_than_fit_end_the_call_and_no_other(service: Service) -> None:
    """GRPC's own limit answers, and the next call is as ever."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unary(service)(b"", metadata=(("x-huge", "v" * 100_000),))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await refusal(unary(service)(b""))).code is INVALID


GOOD = GetPatternRequest(pattern_id="00000000-0000-4000-8000-000000000000").SerializeToString()
NOT_FOUND, INVALID_ARGUMENT = "5", "3"


@pytest.mark.parametrize("method", ["GetPattern", "StreamNetworkMetrics"])
@pytest.mark.parametrize(
    "body",
    [b"", raw_http2.message(GOOD, length=500), b"\x00\x00"],
    ids=["no message", "a part of a message", "a part of its length"],
)
async def test_a_call_that_ends_without_its_message_is_answered(
    service: Service, method: str, body: bytes
) -> None:
    """It does not hang until its caller gives up."""
    status = await raw_http2.call(service.app.port, PATH + method, body)
    assert status == INVALID_ARGUMENT


async def test_what_is_compressed_is_read(service: Service) -> None:
    """The raw client's calls are calls: with and without compression it gets the answer."""
    port, path = service.app.port, PATH + "GetPattern"
    assert await raw_http2.call(port, path, raw_http2.message(GOOD)) == NOT_FOUND
    packed = raw_http2.message(gzip.compress(GOOD), compressed=1)
    assert await raw_http2.call(port, path, packed, {"grpc-encoding": "gzip"}) == NOT_FOUND


async def test_every_kind_of_call_may_be_compressed(service: Service, topic: str) -> None:
    """By gRPC's own client: calls, streams of messages, and health, which is none of ours."""
    squeezed = grpc.Compression.Gzip
    long = question(topic, "Offer a warm towel. " * 50)
    await service.network.EnhanceInsight(long, compression=squeezed)
    ask: Any = service.channel.stream_stream(
        PATH + "EnhanceInsights",
        request_serializer=EnhanceInsightsRequest.SerializeToString,
        response_deserializer=EnhanceInsightsResponse.FromString,
    )
    asked = [EnhanceInsightsRequest(correlation_id=f"{n}", request=long) for n in range(3)]
    answers = [each async for each in ask(iter(asked), compression=squeezed)]
    assert all(each.HasField("response") for each in answers)
    health: Any = HealthStub(service.channel)
    served = HealthCheckRequest(service="keeper.network.v1.NetworkLearningService")
    assert (await health.Check(served, compression=squeezed)).status


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(GOOD)[:-9],
        gzip.compress(GOOD) + b"more",
        gzip.compress(GOOD)[:12] + b"damaged" * 3,
        gzip.compress(bytes(MAX_REQUEST_BYTES + 1)),
        gzip.compress(bytes(50 * MAX_REQUEST_BYTES)),
        b"no gzip",
    ],
    ids=["cut off", "with a tail", "damaged", "too large", "a bomb", "none at all"],
)
async def test_what_is_no_gzip_is_a_bad_request(service: Service, body: bytes) -> None:
    """INVALID_ARGUMENT, as what is no message, of a call that was logged as any other."""
    packed, gzipped = raw_http2.message(body, compressed=1), {"grpc-encoding": "gzip"}
    with structlog.testing.capture_logs() as lines:
        status = await raw_http2.call(service.app.port, PATH + "GetPattern", packed, gzipped)
        # The caller has its answer before the call is logged.
        await until(lambda: lines, within=SOON, what="the call is logged")
    assert status == INVALID_ARGUMENT
    assert [(line["event"], line["code"]) for line in lines] == [("call", "INVALID_ARGUMENT")]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (raw_http2.message(GOOD, compressed=1), {"grpc-encoding": "snappy"}),
        (raw_http2.message(GOOD, compressed=1), {"grpc-encoding": "deflate"}),
        (raw_http2.message(GOOD, compressed=1), {}),
    ],
    ids=["unknown", "not taken", "not named"],
)
async def test_what_cannot_be_unpacked_is_no_defect(
    service: Service, body: bytes, headers: dict[str, str]
) -> None:
    """GRPC itself ends such a call before it reaches the service: nothing is logged, and others are answered."""
    with structlog.testing.capture_logs() as lines:
        status = await raw_http2.call(service.app.port, PATH + "GetPattern", body, headers)
    assert status not in ("0", "2")
    assert [line for line in lines if line["log_level"] == "error"] == []
    assert (await refusal(unary(service)(b""))).code is INVALID


async def test_nothing_of_this_is_counted_as_a_defect(database_of_its_own: str) -> None:
    """The alert for our own defects looks for UNKNOWN and INTERNAL."""
    async with running(database_of_its_own, metrics_port=0) as service:
        for body in DAMAGED.values():
            await refusal(unary(service)(body))
            subscribe: Any = service.channel.unary_stream(PATH + "StreamNetworkMetrics")
            with pytest.raises(grpc.aio.AioRpcError):
                await subscribe(body).read()
            ask: Any = service.channel.stream_stream(PATH + "EnhanceInsights")
            assert [each async for each in ask(iter([body]))]
        exported = await scrape(service)
    codes = {
        labels["code"]
        for series in exported.series.values()
        for labels, _ in series
        if "code" in labels
    }
    assert codes == {"INVALID_ARGUMENT", "OK"}
