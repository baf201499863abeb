from __future__ import annotations

from typing import Any

import grpc
import pytest
from connectrpc.code import Code
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import Headers, RequestContext

from keeper_grpc.domain.errors import EmbedderUnavailable
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from keeper_grpc.rpc import status
from keeper_grpc.rpc.http.call_context import CallContext
from keeper_grpc.rpc.http.errors import connect_error


@pytest.fixture
def received() -> RequestContext[Any, Any]:
    """A call as the HTTP server hands it over."""
    info = MethodInfo(
        name="GetPattern",
        service_name="keeper.network.v1.NetworkLearningService",
        input=network.GetPatternRequest,
        output=network.GetPatternResponse,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.UNARY,
    )
    return RequestContext(
        method=info, http_method="POST", request_headers=Headers([("a", "1"), ("a", "2")])
    )


async def test_a_wait_is_said_in_https_own_header(received: RequestContext[Any, Any]) -> None:
    """RetryInfo of 1.2 seconds is Retry-After: 2, beside the detail that says it exactly."""
    context: Any = CallContext(received)
    with pytest.raises(grpc.aio.AbortError):
        await status.abort(context, status.to_status(EmbedderUnavailable("down", retry_after=1.2)))

    error = connect_error(context)
    assert received.response_headers["retry-after"] == "2"
    assert error.code is Code.UNAVAILABLE
    assert {each.type_name for each in error.details} == {
        "google.rpc.ErrorInfo",
        "google.rpc.RetryInfo",
    }
    assert list(received.response_trailers.allitems()) == []


async def test_metadata_become_headers_and_trailers(received: RequestContext[Any, Any]) -> None:
    """Repeated keys stay, bytes are base64, and the call's id is a header wherever it was set."""
    context = CallContext(received)
    await context.send_initial_metadata((("first", "1"), ("first", "2")))
    context.set_trailing_metadata(
        (("x-request-id", "abc"), ("data-bin", b"\xff\xff"), ("last", "3"))
    )

    assert list(received.response_headers.allitems()) == [
        ("first", "1"),
        ("first", "2"),
        ("x-request-id", "abc"),
    ]
    assert list(received.response_trailers.allitems()) == [("data-bin", "//8"), ("last", "3")]
    assert context.invocation_metadata() == (("a", "1"), ("a", "2"))
