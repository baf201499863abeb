"""The handlers of the gRPC server as Connect's endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import Any

import grpc
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import Endpoint
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from keeper_grpc.rpc.http.call_context import CallContext, Outbox
from keeper_grpc.rpc.http.errors import connect_error
from keeper_grpc.rpc.interceptors.chain import Handler
from keeper_grpc.rpc.interceptors.unreadable import Unreadable
from keeper_grpc.rpc.status import FieldViolation


def endpoints(
    services: Iterable[ServiceDescriptor], handlers: Mapping[str, Handler]
) -> dict[str, Any]:
    """By path, an endpoint for each method; `handlers` are gRPC's, within their interceptor."""
    made: dict[str, Any] = {}
    for service in services:
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            made[path] = _endpoint(method, handlers[path])
    return made


def _endpoint(method: MethodDescriptor, handler: Handler) -> Any:
    info = MethodInfo(
        name=method.name,
        service_name=method.containing_service.full_name,
        input=message_factory.GetMessageClass(method.input_type),
        output=message_factory.GetMessageClass(method.output_type),
        # Every call is a POST: answers depend on who asks, and none of them may be cached on the way.
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.UNARY,
    )
    if handler.request_streaming and handler.response_streaming:
        return Endpoint.bidi_stream(info, _streaming(handler.stream_stream, info.output))
    if handler.response_streaming:
        return Endpoint.server_stream(info, _streaming(handler.unary_stream, info.output))
    if handler.request_streaming:
        return Endpoint.client_stream(info, _responding(handler.stream_unary))
    return Endpoint.unary(info, _responding(handler.unary_unary))


def _responding(behaviour: Any) -> Any:
    async def respond(request: Any, received: RequestContext[Any, Any]) -> Any:
        context = CallContext(received)
        try:
            return await behaviour(request, context)
        except grpc.aio.AbortError:
            raise connect_error(context) from None

    return respond


def _streaming(behaviour: Any, output: Any) -> Any:
    """Runs the handler in a task of its own, since it writes, and Connect reads."""

    async def stream(request: Any, received: RequestContext[Any, Any]) -> AsyncIterator[Any]:
        outbox = Outbox()
        context = CallContext(received, outbox.write)

        asked = _readable(request) if isinstance(request, AsyncIterable) else request

        async def handle() -> None:
            async for message in behaviour(asked, context):
                await outbox.write(message)

        handling = asyncio.create_task(handle())
        try:
            while (message := await _next(outbox, handling)) is not None:
                # A stream with many readers writes messages that it has serialized once for all of them.
                yield output.FromString(message) if isinstance(message, bytes) else message
                outbox.sent()
            await handling
        except grpc.aio.AbortError:
            raise connect_error(context) from None
        finally:
            handling.cancel()
            await asyncio.wait([handling])

    return stream


async def _readable(messages: AsyncIterable[Any]) -> AsyncIterator[Any]:
    """The messages that a caller streams. What is no frame, or too large, ends them: it is the caller's error, as a
    message is that cannot be read.
    """
    try:
        async for message in messages:
            yield message
    except ConnectError as error:
        yield Unreadable(FieldViolation("", f"no message can be read: {error.message}"))


async def _next(outbox: Outbox, handling: asyncio.Task[None]) -> Any:
    """The next message; None when the handler has ended and all it wrote was taken."""
    waiting = asyncio.ensure_future(outbox.next())
    try:
        await asyncio.wait([waiting, handling], return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()
