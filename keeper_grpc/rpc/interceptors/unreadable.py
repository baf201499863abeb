"""Lets what is no message of its type reach the service, which refuses it as any other bad request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from keeper_grpc.rpc.interceptors.around import OURS
from keeper_grpc.rpc.status import FieldViolation


class Unreadable:
    """In the place of a request whose bytes are damaged, or hold a string that is not UTF-8.

    Such a string is a surrogate, for example, of a client that does not check what it sends.
    """


NOT_A_MESSAGE = FieldViolation(
    "", "the bytes are no message of this request's type, or a string in it is not UTF-8"
)
"""A violation of the whole request: the parser does not say which field it is."""


class ReadRequests(grpc.aio.ServerInterceptor):
    """Makes an `Unreadable` of what cannot be parsed.

    gRPC itself would answer UNKNOWN with the parser's words, or end a client's stream with INTERNAL and the
    other questions unanswered, and log a stack as for a defect. Validation refuses the one request of a
    call; the handler of a stream refuses each message of its own. Must be an inner interceptor: the others
    pass on its deserializer.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the deserializer of a method of ours."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(OURS):
            return handler
        parse = handler.request_deserializer

        def read(data: bytes) -> Any:
            try:
                return parse(data)
            except DecodeError:
                return Unreadable()

        make, behaviour = {
            (False, False): (grpc.unary_unary_rpc_method_handler, handler.unary_unary),
            (False, True): (grpc.unary_stream_rpc_method_handler, handler.unary_stream),
            (True, False): (grpc.stream_unary_rpc_method_handler, handler.stream_unary),
            (True, True): (grpc.stream_stream_rpc_method_handler, handler.stream_stream),
        }[handler.request_streaming, handler.response_streaming]
        return make(
            behaviour,
            request_deserializer=read,
            response_serializer=handler.response_serializer,
        )
