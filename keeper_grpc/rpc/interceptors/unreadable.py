"""Lets what is no message of its type reach the service, which refuses it as any other bad request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from keeper_grpc.rpc.interceptors.chain import Handler, remade
from keeper_grpc.rpc.interceptors.concern import OURS
from keeper_grpc.rpc.status import FieldViolation

NOT_A_MESSAGE = FieldViolation(
    "", "the bytes are no message of this request's type, or a string in it is not UTF-8"
)
"""A violation of the whole request: the parser does not say which field it is."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """In the place of a request whose bytes are damaged, or hold a string that is not UTF-8.

    Such a string is a surrogate, for example, of a client that does not check what it sends.
    """

    violation: FieldViolation = NOT_A_MESSAGE


def read_requests(method: str, handler: Handler) -> Handler:
    """Make an `Unreadable` of what cannot be parsed.

    gRPC itself would answer UNKNOWN with the parser's words, or end a client's stream with INTERNAL and the
    other questions unanswered, and log a stack as for a defect. Validation refuses the one request of a
    call; the handler of a stream refuses each message of its own.
    """
    if not method.startswith(OURS):
        return handler
    parse = handler.request_deserializer

    def read(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError:
            return Unreadable()

    return remade(handler, request_deserializer=read)
