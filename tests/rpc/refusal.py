"""Errors as a client reads them."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status


@dataclass(frozen=True)
class Refusal:
    """A google.rpc.Status, unpacked. `fields` maps the violated fields to descriptions."""

    code: grpc.StatusCode
    message: str
    domain: str
    reason: str
    fields: Mapping[str, str]
    retry_seconds: float | None


def read(error: grpc.aio.AioRpcError) -> Refusal:
    """Unpack an error; fails where the code and the rich status disagree."""
    trailers = dict(error.trailing_metadata() or ())
    status = Status.FromString(trailers["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    seconds = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(retry):
            seconds = retry.retry_delay.ToTimedelta().total_seconds()
    # gRPC's own retries look there.
    assert ("grpc-retry-pushback-ms" in trailers) == (seconds is not None)
    fields = {violation.field: violation.description for violation in bad.field_violations}
    return Refusal(error.code(), status.message, info.domain, info.reason, fields, seconds)


async def refusal(call: Awaitable[object]) -> Refusal:
    """The error with which a call ends; fails when it succeeds."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return read(caught.value)
