"""The server that Connect's conformance suite tests: its service, behind this project's HTTP adapter.

The suite starts it, writes what it wants to its standard input, and reads the port from its standard output. The
argument is a directory with the code generated from the suite's protos.
"""

from __future__ import annotations

import asyncio
import importlib
import signal
import struct
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import connectrpc
import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from keeper_grpc.rpc import status
from keeper_grpc.rpc.http.server import HttpServer
from keeper_grpc.rpc.interceptors.unreadable import Unreadable

DAY = 86_400.0
MIB = 1024 * 1024


class Conformance:
    """The suite's ConformanceService, as a handler of gRPC's asynchronous server is written."""

    def __init__(self, service: Any) -> None:
        self._messages = service

    async def respond(self, requests: list[Any], context: Any, response: type[Any]) -> Any:
        """What a call with one response answers."""
        await self._refuse_unreadable(requests, context)
        definition = requests[0].response_definition if requests else None
        if definition is None:
            return response(payload=self._payload(b"", requests, context))
        await self._send_metadata(definition, context)
        await asyncio.sleep(definition.response_delay_ms / 1000)
        if definition.WhichOneof("response") == "error":
            await self._fail(definition, context, self._info(requests, context))
        return response(payload=self._payload(definition.response_data, requests, context))

    async def stream(
        self, requests: list[Any], context: Any, response: type[Any]
    ) -> AsyncIterator[Any]:
        """What a call with many responses answers."""
        await self._refuse_unreadable(requests, context)
        if not requests or not requests[0].HasField("response_definition"):
            return
        definition = requests[0].response_definition
        await self._send_metadata(definition, context)
        for number, data in enumerate(definition.response_data):
            await asyncio.sleep(definition.response_delay_ms / 1000)
            first = number == 0
            payload = self._messages.ConformancePayload(data=data)
            yield response(payload=self._payload(data, requests, context) if first else payload)
        if definition.HasField("error"):
            nothing_sent = not definition.response_data
            await self._fail(
                definition, context, self._info(requests, context) if nothing_sent else None
            )

    def handlers(self) -> dict[str, Any]:
        """By path, each method's handler."""
        service = self._messages

        async def unary(request: Any, context: Any) -> Any:
            return await self.respond([request], context, service.UnaryResponse)

        async def idempotent(request: Any, context: Any) -> Any:
            return await self.respond([request], context, service.IdempotentUnaryResponse)

        async def unimplemented(_: Any, context: Any) -> Any:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not implemented")

        async def client_stream(requests: AsyncIterator[Any], context: Any) -> Any:
            read = [each async for each in requests]
            return await self.respond(read, context, service.ClientStreamResponse)

        async def server_stream(request: Any, context: Any) -> AsyncIterator[Any]:
            async for each in self.stream([request], context, service.ServerStreamResponse):
                yield each

        async def half_duplex(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            read = [each async for each in requests]
            async for each in self.stream(read, context, service.BidiStreamResponse):
                yield each

        prefix = "/connectrpc.conformance.v1.ConformanceService/"
        return {
            prefix + "Unary": grpc.unary_unary_rpc_method_handler(unary),
            prefix + "IdempotentUnary": grpc.unary_unary_rpc_method_handler(idempotent),
            prefix + "Unimplemented": grpc.unary_unary_rpc_method_handler(unimplemented),
            prefix + "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
            prefix + "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
            prefix + "BidiStream": grpc.stream_stream_rpc_method_handler(half_duplex),
        }

    async def _refuse_unreadable(self, requests: Iterable[Any], context: Any) -> None:
        """As validation does in the service."""
        for request in requests:
            if isinstance(request, Unreadable):
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, request.violation.description)

    def _payload(self, data: bytes, requests: list[Any], context: Any) -> Any:
        return self._messages.ConformancePayload(
            data=data, request_info=self._info(requests, context)
        )

    def _info(self, requests: Iterable[Message], context: Any) -> Any:
        headers: dict[str, list[str]] = {}
        for name, value in context.invocation_metadata():
            headers.setdefault(name, []).append(value)
        left = context.time_remaining()
        return self._messages.ConformancePayload.RequestInfo(
            request_headers=[
                self._messages.Header(name=name, value=values) for name, values in headers.items()
            ],
            timeout_ms=None if left is None else int(left * 1000),
            requests=[_packed(each) for each in requests],
        )

    async def _send_metadata(self, definition: Any, context: Any) -> None:
        await context.send_initial_metadata(_pairs(definition.response_headers))
        context.set_trailing_metadata(_pairs(definition.response_trailers))

    async def _fail(self, definition: Any, context: Any, info: Message | None) -> None:
        error = definition.error
        details = [*error.details, *([_packed(info)] if info is not None else [])]
        code = next(code for code in grpc.StatusCode if code.value[0] == error.code)
        rich = Status(code=error.code, message=error.message, details=details)
        await context.abort(
            code,
            error.message,
            (*context.trailing_metadata(), *status.trailing_metadata(rich)),
        )


def _packed(message: Message) -> Packed:
    packed = Packed()
    packed.Pack(message)
    return packed


def _pairs(headers: Iterable[Any]) -> tuple[tuple[str, str], ...]:
    return tuple((header.name, value) for header in headers for value in header.value)


async def main(generated: str) -> None:
    """Serve until SIGTERM."""
    # The suite's protos are of the library's own package.
    connectrpc.__path__.append(str(Path(generated) / "connectrpc"))
    service = importlib.import_module("connectrpc.conformance.v1.service_pb2")
    compat = importlib.import_module("connectrpc.conformance.v1.server_compat_pb2")
    (size,) = struct.unpack(">I", sys.stdin.buffer.read(4))
    wanted = compat.ServerCompatRequest.FromString(sys.stdin.buffer.read(size))
    server = HttpServer(
        service.DESCRIPTOR.services_by_name.values(),
        Conformance(service).handlers(),
        address=("127.0.0.1", 0),
        shares_port=False,
        origins=(),
        max_request_bytes=wanted.message_receive_limit or 4 * MIB,
        max_call_duration=DAY,
        stall=DAY,
    )
    await server.start()
    answer = compat.ServerCompatResponse(host="127.0.0.1", port=server.port).SerializeToString()
    sys.stdout.buffer.write(struct.pack(">I", len(answer)) + answer)
    sys.stdout.buffer.flush()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop(1)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
