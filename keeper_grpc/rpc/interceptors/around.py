"""The base of the interceptors: runs a context manager around a call of any kind."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import grpc

OURS = "/keeper.network."
"""The prefix of this service's methods; health and reflection have others."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as an interceptor sees it. `request` is None where the client streams."""

    method: str
    streaming: bool
    request: Any
    context: Any


class Around(grpc.aio.ServerInterceptor, ABC):
    """Runs `around(call)` as a context manager around each handler.

    A handler's errors, cancellation included, pass through it. It must not swallow them.
    """

    @abstractmethod
    def around(self, call: Call) -> AbstractAsyncContextManager[None]: ...

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler that the rest of the chain found, if any."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        kind = (handler.request_streaming, handler.response_streaming)
        inner = {
            (False, False): handler.unary_unary,
            (False, True): handler.unary_stream,
            (True, False): handler.stream_unary,
            (True, True): handler.stream_stream,
        }[kind]

        def call_of(request: Any, context: Any) -> Call:
            seen = None if handler.request_streaming else request
            return Call(method, handler.response_streaming, seen, context)

        async def respond(request: Any, context: Any) -> Any:
            async with self.around(call_of(request, context)):
                return await inner(request, context)

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            async with self.around(call_of(request, context)):
                answer = inner(request, context)
                if inspect.iscoroutine(answer):
                    # gRPC's other way to stream, which health's Watch takes: writing to the context.
                    await answer
                    return
                async for message in answer:
                    yield message

        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[kind]
        return make(
            stream if handler.response_streaming else respond,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
