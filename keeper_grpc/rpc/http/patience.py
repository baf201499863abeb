"""Bounds the wait for a request's body, before which no handler and no limit of a call has begun."""

from __future__ import annotations

import asyncio
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError

from keeper_grpc.rpc.http.origins import App

_FULL_DUPLEX = ("/EnhanceInsights", "/StreamMoves")
"""Their messages may come for as long as the stream is open."""


class Patience:
    """Ends a request whose body has not come whole after `seconds`, with DEADLINE_EXCEEDED."""

    def __init__(self, app: App, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["path"].endswith(_FULL_DUPLEX):
            await self._app(scope, receive, send)
            return
        end = asyncio.get_running_loop().time() + self._seconds
        whole = False

        async def receive_in_time() -> Any:
            nonlocal whole
            if whole:  # what comes now is the caller's leaving
                return await receive()
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                raise ConnectError(
                    Code.DEADLINE_EXCEEDED, "the request's body did not come in time"
                ) from None
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, receive_in_time, send)
