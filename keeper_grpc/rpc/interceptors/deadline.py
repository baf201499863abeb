"""Enforces the maximum duration of unary calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from keeper_grpc.rpc import status
from keeper_grpc.rpc.interceptors.admission import Durations
from keeper_grpc.rpc.interceptors.concern import Call


class Deadline:
    """Ends unary calls after their durations, also those of a client that set no deadline.

    gRPC itself enforces a shorter deadline of the caller: it cancels the handler.
    """

    def __init__(self, durations: Durations) -> None:
        self._durations = durations

    async def within(
        self, call: Call, handler: Callable[[Any, Any], Awaitable[Any]], request: Any
    ) -> Any:
        """Run the handler, and abort the call after the maximum duration, of which it may have waited a part."""
        left = call.context.time_remaining()
        if left is not None and left <= self._durations.longest:
            return await handler(request, call.context)
        most = self._durations.of(call)
        try:
            async with asyncio.timeout(most - (time.perf_counter() - call.started)) as limit:
                return await handler(request, call.context)
        except TimeoutError:
            if not limit.expired():
                raise
            await status.abort(call.context, status.deadline_exceeded())
