"""A call over HTTP as the handlers and their interceptor see it: the part of gRPC's context that they use."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, NoReturn

import grpc
from connectrpc.request import RequestContext

from keeper_grpc.rpc.http.certificate import shown
from keeper_grpc.rpc.interceptors.request_id import HEADER
from keeper_grpc.rpc.status import PUSHBACK

DETAILS = "grpc-status-details-bin"
"""Where gRPC carries a status with details, which `errors.py` puts into the error itself."""

Metadata = Sequence[tuple[str, str | bytes]]


class CallContext:
    """Stands in for grpc.aio.ServicerContext.

    Metadata become the response's headers and trailers; the call's id is always a header, where every HTTP client
    finds it. A status that a handler ends the call with is kept for `errors.py`.
    """

    def __init__(
        self, request: RequestContext[Any, Any], send: Callable[[Any], Any] | None = None
    ) -> None:
        self._request = request
        self._send = send
        self._trailing: Metadata = ()
        self._code: grpc.StatusCode | None = None
        self._details = ""

    # What the caller sent.

    def invocation_metadata(self) -> Metadata:
        """The request's headers."""
        return tuple(self._request.request_headers.allitems())

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline, None without one."""
        left = self._request.timeout_ms
        return None if left is None else left / 1000

    def peer(self) -> str:
        """The caller's address."""
        return self._request.client_address or ""

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        """The names in the caller's certificate."""
        return shown()

    # What the handlers answer with.

    def set_trailing_metadata(self, metadata: Metadata) -> None:
        """Keep metadata for the end of the call."""
        self._trailing = tuple(metadata)
        for key, value in self._trailing:
            if key == HEADER:
                self._request.response_headers[key] = _text(value)
            elif key == PUSHBACK:
                # HTTP's own name for it, in whole seconds.
                self._request.response_headers["retry-after"] = str(ceil(int(value) / 1000))
            elif key != DETAILS:
                self._request.response_trailers.add(key, _text(value))

    def trailing_metadata(self) -> Metadata:
        """What was set."""
        return self._trailing

    async def send_initial_metadata(self, metadata: Metadata) -> None:
        """Put metadata into the response's headers, which leave with the first message."""
        for key, value in metadata:
            self._request.response_headers.add(key, _text(value))

    async def write(self, message: Any) -> None:
        """Send a message of a stream, and wait until the connection took it."""
        if self._send is None:
            raise RuntimeError("a unary call writes no messages")
        await self._send(message)

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()
    ) -> NoReturn:
        """End the call with a status."""
        self._code, self._details = code, details
        added = [each for each in trailing_metadata if each not in self._trailing]
        self.set_trailing_metadata(added)
        self._trailing = tuple(trailing_metadata)
        raise grpc.aio.AbortError

    def code(self) -> grpc.StatusCode | None:
        """The code of the status, None until there is one."""
        return self._code

    def details(self) -> str:
        """The message of the status."""
        return self._details


def _text(value: str | bytes) -> str:
    """A value as a header carries it: bytes in base64, as gRPC's specification has it."""
    return value if isinstance(value, str) else b64encode(value).decode().rstrip("=")


class Outbox:
    """Messages on their way from a handler, which writes them, to a connection, which takes one at a time."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=1)

    async def write(self, message: Any) -> None:
        """Hand over a message, and wait until it was sent: the handler feels how fast its reader is."""
        await self._queue.put(message)
        await self._queue.join()

    async def next(self) -> Any:
        """The next message."""
        return await self._queue.get()

    def sent(self) -> None:
        """The message of the last `next` was sent."""
        self._queue.task_done()
