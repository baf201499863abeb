"""Enforces the maximum duration of unary calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from keeper_grpc.rpc import status
from keeper_grpc.rpc.interceptors.concern import Call


class Deadline:
    """Ends unary calls after `seconds`, also those of a client that set no deadline.

    gRPC itself enforces a shorter deadline of the caller: it cancels the handler.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def within(
        self, call: Call, handler: Callable[[Any, Any], Awaitable[Any]], request: Any
    ) -> Any:
        """Run the handler, and abort the call after the maximum duration."""
        left = call.context.time_remaining()
        if left is not None and left <= self._seconds:
            return await handler(request, call.context)
        try:
            async with asyncio.timeout(self._seconds) as limit:
                return await handler(request, call.context)
        except TimeoutError:
            if not limit.expired():
                raise
            await status.abort(call.context, status.deadline_exceeded())
