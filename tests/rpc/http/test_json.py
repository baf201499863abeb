from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest
import structlog
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import BadRequest

from keeper_grpc.rpc.interceptors.unreadable import MAX_RECEIVED_BYTES, MAX_REQUEST_BYTES
from tests.rpc.http.browser import NETWORK, post, sent
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import Service


def port_of(service: Service) -> int:
    """The port of HTTP."""
    assert service.app.http_port is not None
    return service.app.http_port


async def test_json_captures_and_enhances(service: Service, topic: str) -> None:
    """Three captures and a question in JSON do what they do over gRPC, in camelCase and in snake_case."""
    port = port_of(service)
    for number in range(3):
        body = MessageToDict(capture(topic), preserving_proto_field_name=bool(number % 2))
        captured = await post(port, f"{NETWORK}CapturePattern", body)
        assert captured.status == 200, captured.body
    answer = await post(port, f"{NETWORK}EnhanceInsight", MessageToDict(question(topic)))

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    enhanced = answer.json["enhancedInsight"]
    assert enhanced["networkEnhanced"] is True
    assert enhanced["suggestedApproach"] == "Offer a warm towel"


async def test_a_retry_over_another_protocol_counts_once(service: Service, topic: str) -> None:
    """The same request_id by gRPC and by JSON is one capture: the second says that it is replayed."""
    request = capture(topic)
    await service.network.CapturePattern(request)
    again = await post(port_of(service), f"{NETWORK}CapturePattern", MessageToDict(request))

    assert again.status == 200
    assert again.json["replayed"] is True


async def test_an_error_names_the_fields_for_programs_and_for_people(service: Service) -> None:
    """400 with Connect's code, the detail's bytes as over gRPC, and the same as readable JSON."""
    answer = await post(port_of(service), f"{NETWORK}CapturePattern", {"accountId": "a"})

    assert answer.status == 400
    assert answer.json["code"] == "invalid_argument"
    details: dict[str, Any] = {each["type"]: each for each in answer.json["details"]}
    assert details["google.rpc.ErrorInfo"]["debug"] == {
        "reason": "INVALID_REQUEST",
        "domain": "network.keeper",
    }
    packed = details["google.rpc.BadRequest"]
    bad = BadRequest.FromString(base64.b64decode(packed["value"] + "=="))
    fields = [violation.field for violation in bad.field_violations]
    assert {"request_id", "insight"} <= set(fields)
    assert [each["field"] for each in packed["debug"]["fieldViolations"]] == fields


async def test_a_missing_pattern_is_404(service: Service) -> None:
    """NOT_FOUND is the HTTP status that a proxy's log shows."""
    answer = await post(port_of(service), f"{NETWORK}GetPattern", {"patternId": str(uuid.uuid4())})

    assert answer.status == 404
    assert answer.json["code"] == "not_found"
    assert answer.json["details"][0]["debug"]["reason"] == "PATTERN_NOT_FOUND"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "no JSON"),
        (b"[1, 2]", "no JSON"),
        (b'{"accountId": 5}', "accountId"),
        (b'{"accountId": "\xff"}', "UTF-8"),
        (b'{"accountId": "\\ud800"}', "no JSON"),
        (b'{"insight": {"conditions": ' + b'{"a": ' * 5_000 + b"1" + b"}" * 5_002, "no JSON"),
        (b'{"insight": {"confidence": "NaN"}}', ""),
    ],
)
async def test_what_is_no_json_of_the_request_is_refused(
    service: Service, body: bytes, complaint: str
) -> None:
    """A typed error that says what was wrong, never a defect of the server."""
    answer = await post(port_of(service), f"{NETWORK}CapturePattern", body)

    assert answer.status == 400
    assert answer.json["code"] == "invalid_argument"
    details = {each["type"]: each for each in answer.json["details"]}
    violations = details["google.rpc.BadRequest"]["debug"]["fieldViolations"]
    assert any(complaint in each["description"] for each in violations), violations


async def test_a_request_that_is_too_large_is_refused(service: Service) -> None:
    """As over gRPC: it is the caller's error, and far beyond the limit nothing is read into memory."""
    body = {"accountId": "a" * (MAX_REQUEST_BYTES + 1)}
    answer = await post(port_of(service), f"{NETWORK}CapturePattern", body)

    assert answer.status == 400
    assert answer.json["code"] == "invalid_argument"
    details = {each["type"]: each for each in answer.json["details"]}
    assert details["google.rpc.ErrorInfo"]["debug"]["reason"] == "INVALID_REQUEST"
    (violation,) = details["google.rpc.BadRequest"]["debug"]["fieldViolations"]
    assert violation["description"] == f"more than {MAX_REQUEST_BYTES} bytes"

    body = {"accountId": "a" * (MAX_RECEIVED_BYTES + 1)}
    answer = await post(port_of(service), f"{NETWORK}CapturePattern", body)
    assert answer.json["code"] == "resource_exhausted"


@pytest.mark.parametrize(
    ("path", "method", "kind", "status"),
    [
        (f"{NETWORK}CapturePattern", "GET", "application/json", 405),
        (f"{NETWORK}CapturePattern", "POST", "text/plain", 415),
        (f"{NETWORK}Nothing", "POST", "application/json", 404),
        ("/", "POST", "application/json", 404),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "POST", "text/plain", 404),
    ],
)
async def test_what_is_no_call_is_told_so_by_its_status(
    service: Service, path: str, method: str, kind: str, status: int
) -> None:
    """A wrong method, content type or path is HTTP's own error."""
    async with sent(port_of(service), path, b"{}", method=method, content_type=kind) as exchange:
        assert (await exchange.answer()).status == status


async def test_health_is_served(service: Service) -> None:
    """A load balancer that speaks HTTP asks the same health service."""
    answer = await post(port_of(service), "/grpc.health.v1.Health/Check", {})

    assert answer.json == {"status": "SERVING"}


async def test_a_call_is_logged_once_with_its_id_and_never_its_content(
    service: Service, topic: str
) -> None:
    """The line of a call over HTTP is that of gRPC, and the caller reads its id in a header."""
    given, account = "4bf92f3577b34da6", new_account()
    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as lines:
        answer = await post(
            port_of(service),
            f"{NETWORK}CapturePattern",
            MessageToDict(capture(topic, account=account)),
            x_request_id=given,
        )

    assert answer.headers["x-request-id"] == given
    (line,) = [each for each in lines if each["event"] == "call"]
    assert (line["method"], line["code"], line["call_id"]) == (
        f"{NETWORK}CapturePattern",
        "OK",
        given,
    )
    assert account not in json.dumps(lines, default=str)


async def test_a_deadline_that_has_passed_is_kept(service: Service, topic: str) -> None:
    """Connect-Timeout-Ms is a deadline as gRPC's is."""
    answer = await post(
        port_of(service),
        f"{NETWORK}CapturePattern",
        MessageToDict(capture(topic)),
        connect_timeout_ms="0",
    )

    assert answer.status == 504
    assert answer.json["code"] == "deadline_exceeded"
