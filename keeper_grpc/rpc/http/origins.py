"""Which web pages may call: those of the origins that are named, and no others (the Fetch standard's CORS).

Programs send no Origin header and are not concerned. A request from a page that is not named is refused rather than
answered without permission to read: a page that has its name resolved to this server's address would need none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

_METHODS = b"POST"
_MAY_SEND = (
    b"authorization,content-type,content-encoding,connect-protocol-version,connect-timeout-ms,"
    b"connect-content-encoding,connect-accept-encoding,grpc-timeout,x-grpc-web,x-user-agent,"
    b"x-request-id,traceparent,tracestate"
)
_MAY_READ = (
    b"content-encoding,connect-content-encoding,grpc-status,grpc-message,"
    b"grpc-status-details-bin,x-request-id"
)
_REMEMBERED = b"7200"
"""Seconds for which a browser need not ask again; more than two hours is cut down by some."""


class Origins:
    """Answers a browser's question whether a page may call, and refuses pages that may not."""

    def __init__(self, app: App, allowed: Iterable[str]) -> None:
        self._app = app
        self._allowed = frozenset(origin.encode() for origin in allowed)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        headers = dict(scope.get("headers", ()))
        origin = headers.get(b"origin")
        if origin is None:
            await self._app(scope, receive, send)
        elif origin not in self._allowed:
            await _answer(send, 403, [])
        elif scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _answer(
                send,
                204,
                [
                    *_granted(origin),
                    (b"access-control-allow-methods", _METHODS),
                    (b"access-control-allow-headers", _MAY_SEND),
                    (b"access-control-max-age", _REMEMBERED),
                ],
            )
        else:
            await self._app(scope, receive, _granting(origin, send))


def _granted(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]


def _granting(origin: bytes, send: Any) -> Any:
    async def granting(message: Any) -> None:
        if message["type"] == "http.response.start":
            added = [*_granted(origin), (b"access-control-expose-headers", _MAY_READ)]
            message = message | {"headers": [*message.get("headers", ()), *added]}
        await send(message)

    return granting


async def _answer(send: Any, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    empty = (b"content-length", b"0")
    headers = headers if status == 204 else [*headers, empty]  # noqa: PLR2004 - No Content
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
