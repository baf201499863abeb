"""From a call's status to Connect's error, with the same details as over gRPC."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import grpc
from connectrpc.code import Code
from connectrpc.errors import ConnectError, ErrorDetail
from google.protobuf import any_pb2, json_format
from google.rpc import error_details_pb2, status_pb2
from protobuf.wkt import Any, Struct

from keeper_grpc.rpc.http.call_context import DETAILS, CallContext

if TYPE_CHECKING:
    from google.protobuf.message import Message

_READABLE: dict[str, type[Message]] = {
    message.DESCRIPTOR.full_name: message
    for message in (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.RetryInfo,
    )
}
"""The details that this service sends."""


class ReadableDetail(ErrorDetail):
    """A detail that is in the error as JSON too (Connect's `debug`), for people with curl."""

    def __init__(self, packed: any_pb2.Any) -> None:
        super().__init__(Any(type_url=packed.type_url, value=packed.value))
        self._packed = packed

    def value(self, *_: object) -> Struct | None:  # type: ignore[override]  # connectrpc asks for `debug` only
        """The detail as a JSON object; None for one of another service."""
        kind = _READABLE.get(self.type_name)
        if kind is None:
            return None
        message = kind.FromString(self._packed.value)
        return Struct.from_json(json.dumps(json_format.MessageToDict(message)))


def connect_error(context: CallContext) -> ConnectError:
    """The error of a call that ended with a status other than OK."""
    code = context.code() or grpc.StatusCode.UNKNOWN
    packed = dict(context.trailing_metadata()).get(DETAILS, b"")
    details = status_pb2.Status.FromString(packed).details if isinstance(packed, bytes) else ()
    return ConnectError(
        # Connect spells one of gRPC's codes otherwise.
        Code.CANCELED if code is grpc.StatusCode.CANCELLED else Code[code.name],
        context.details(),
        [ReadableDetail(each) for each in details],
    )
