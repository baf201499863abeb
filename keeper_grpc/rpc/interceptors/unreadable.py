"""Lets a request that is no message of its type reach the interceptors, which refuse it as any other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from keeper_grpc.rpc.interceptors.around import OURS


class Unreadable:
    """In the place of a request whose bytes are damaged, or hold a string that is not UTF-8.

    Such a string is a surrogate, for example, of a client that does not check what it sends.
    """


class ReadRequests(grpc.aio.ServerInterceptor):
    """Makes an `Unreadable` of what cannot be parsed.

    gRPC itself would answer UNKNOWN with the parser's words, and log a stack as for a defect. Of a
    client's stream it ends the stream. Must be an inner interceptor: the others pass on its deserializer.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the deserializer of a method of ours whose request is one message."""
        handler = await continuation(handler_call_details)
        if (
            handler is None
            or handler.request_streaming
            or not handler_call_details.method.startswith(OURS)
        ):
            return handler
        parse = handler.request_deserializer

        def read(data: bytes) -> Any:
            try:
                return parse(data)
            except DecodeError:
                return Unreadable()

        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                handler.unary_stream,
                request_deserializer=read,
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            handler.unary_unary,
            request_deserializer=read,
            response_serializer=handler.response_serializer,
        )
