"""Lets a handler return messages that it has serialized itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc


class Encoded(grpc.aio.ServerInterceptor):
    """Disables serialization for one server-streaming method, whose handler returns bytes.

    The generated code would serialize every response for every caller. This must be the innermost
    interceptor: the others pass on the handler's serializer.
    """

    def __init__(self, method: str) -> None:
        """`method`: its full name, as in the call's path."""
        self._method = method

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Take the serializer out of the method's handler."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method != self._method:
            return handler
        return grpc.unary_stream_rpc_method_handler(
            handler.unary_stream,
            request_deserializer=handler.request_deserializer,
            response_serializer=None,
        )
