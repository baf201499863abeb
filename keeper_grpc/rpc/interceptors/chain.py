"""The one interceptor: every concern around every handler, put together once for each method.

gRPC asks its interceptors anew for each call. Were each concern one of them, a call would make eight handlers
before it is handled.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NoReturn, TypeAlias

import grpc

from keeper_grpc.rpc.interceptors.concern import OURS, Call, Concern
from keeper_grpc.rpc.interceptors.deadline import Deadline
from keeper_grpc.rpc.interceptors.errors import abort_for
from keeper_grpc.rpc.interceptors.unreadable import NO_MESSAGE, Unreadable

Handler: TypeAlias = Any
"""gRPC's RpcMethodHandler, which its stubs type by request and response."""

Reshape: TypeAlias = Callable[[str, Handler], Handler]
"""Makes another handler of a method's, with another way to read or write messages."""


class Chain(grpc.aio.ServerInterceptor):
    """Runs the concerns around each handler, the first outermost, after `reshapes` have changed how it reads and
    writes. Errors get their status before the concerns end. `taken_up` is called first of all, for each call of gRPC's.
    """

    def __init__(
        self,
        concerns: Sequence[Concern],
        reshapes: Sequence[Reshape],
        deadline: Deadline,
        taken_up: Callable[[], None] = lambda: None,
    ) -> None:
        self._concerns = concerns
        self._reshapes = reshapes
        self._deadline = deadline
        self._taken_up = taken_up
        self._made: dict[str, tuple[Handler, Handler]] = {}
        """By method: the handler that was found, and what was made of it."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The method's handler within the concerns; None where there is no such method."""
        self._taken_up()
        found = await continuation(handler_call_details)
        if found is None:
            return None
        method = handler_call_details.method
        known = self._made.get(method)
        if known is None or known[0] is not found:
            made = self.enclosed(method, found)
            if method.startswith(OURS) and not made.request_streaming:
                made = _reading(made)
            known = self._made[method] = (found, made)
        return known[1]

    def enclosed(self, method: str, handler: Handler) -> Handler:
        """A handler within the concerns, for whatever calls it: gRPC's server, or the HTTP server."""
        for reshape in self._reshapes:
            handler = reshape(method, handler)
        enclose = self._streaming if handler.response_streaming else self._responding
        return remade(handler, behaviour=enclose(method, handler))

    def _responding(self, method: str, handler: Handler) -> Callable[[Any, Any], Awaitable[Any]]:
        inner = handler.stream_unary if handler.request_streaming else handler.unary_unary

        async def respond(request: Any, context: Any) -> Any:
            seen = None if handler.request_streaming else request
            call = Call(method, streaming=False, request=seen, context=context)
            begun: list[Concern] = []
            try:
                try:
                    await self._begin(call, begun)
                finally:
                    # Before an error's status, which keeps it.
                    context.set_trailing_metadata(tuple(call.metadata))
                return await self._deadline.within(call, inner, request)
            except BaseException as error:  # noqa: BLE001 - `_fail` raises it again
                await _fail(call, error)
            finally:
                _end(call, begun)

        return respond

    def _streaming(self, method: str, handler: Handler) -> Callable[[Any, Any], AsyncIterator[Any]]:
        inner = handler.stream_stream if handler.request_streaming else handler.unary_stream

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            seen = None if handler.request_streaming else request
            call = Call(method, streaming=True, request=seen, context=context)
            begun: list[Concern] = []
            try:
                try:
                    await self._begin(call, begun)
                finally:
                    await context.send_initial_metadata(tuple(call.metadata))
                answer = inner(request, context)
                if inspect.iscoroutine(answer):
                    # gRPC's other way to stream, which health's Watch takes: writing to the context.
                    await answer
                else:
                    async for message in answer:
                        yield message
            except BaseException as error:  # noqa: BLE001 - `_fail` raises it again
                await _fail(call, error)
            finally:
                _end(call, begun)

        return stream

    async def _begin(self, call: Call, begun: list[Concern]) -> None:
        for concern in self._concerns:
            waiting = concern.begin(call)
            begun.append(concern)
            if waiting is not None:
                await waiting


async def _fail(call: Call, error: BaseException) -> NoReturn:
    """Raise the error again, or abort the call for one that has no status yet."""
    call.error = call.cause = error
    if isinstance(error, Exception) and not isinstance(error, grpc.aio.AbortError):
        try:
            await abort_for(call, error)
        except BaseException as ended:
            call.error = ended
            raise
    raise error


def _end(call: Call, begun: list[Concern]) -> None:
    for concern in reversed(begun):
        concern.end(call)


def _reading(handler: Handler) -> Handler:
    """The handler for a client that may stream, of whose messages the first is read.

    gRPC's own way to read the one message of a call never answers a client that ends its side without one.
    """
    if handler.response_streaming:

        async def stream(_: Any, context: Any) -> AsyncIterator[Any]:
            async for message in handler.unary_stream(await _first(context), context):
                yield message

        return grpc.stream_stream_rpc_method_handler(
            stream, handler.request_deserializer, handler.response_serializer
        )

    async def respond(_: Any, context: Any) -> Any:
        return await handler.unary_unary(await _first(context), context)

    return grpc.stream_unary_rpc_method_handler(
        respond, handler.request_deserializer, handler.response_serializer
    )


async def _first(context: Any) -> Any:
    message = await context.read()
    return Unreadable(NO_MESSAGE) if message is grpc.aio.EOF else message


def remade(handler: Handler, **changes: Any) -> Handler:
    """The handler with another `behaviour`, `request_deserializer` or `response_serializer`."""
    make, behaviour = {
        (False, False): (grpc.unary_unary_rpc_method_handler, handler.unary_unary),
        (False, True): (grpc.unary_stream_rpc_method_handler, handler.unary_stream),
        (True, False): (grpc.stream_unary_rpc_method_handler, handler.stream_unary),
        (True, True): (grpc.stream_stream_rpc_method_handler, handler.stream_stream),
    }[handler.request_streaming, handler.response_streaming]
    return make(
        changes.get("behaviour", behaviour),
        request_deserializer=changes.get("request_deserializer", handler.request_deserializer),
        response_serializer=changes.get("response_serializer", handler.response_serializer),
    )
