"""Lets what is no message of its type reach the service, which refuses it as any other bad request."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from keeper_grpc.rpc.interceptors.chain import Handler, remade
from keeper_grpc.rpc.interceptors.concern import OURS
from keeper_grpc.rpc.interceptors.unreadable import MAX_REQUEST_BYTES, TOO_LARGE, Unreadable


def read_requests(method: str, handler: Handler) -> Handler:
    """Make an `Unreadable` of what cannot be parsed, or is not to be.

    gRPC itself would answer UNKNOWN with the parser's words, or end a client's stream with INTERNAL and the
    other questions unanswered, and log a stack as for a defect. Validation refuses the one request of a
    call; the handler of a stream refuses each message of its own.
    """
    if not method.startswith(OURS):
        return handler
    parse = handler.request_deserializer

    def read(data: bytes) -> Any:
        if len(data) > MAX_REQUEST_BYTES:
            return Unreadable(TOO_LARGE)
        try:
            return parse(data)
        except DecodeError:
            return Unreadable()

    return remade(handler, request_deserializer=read)
