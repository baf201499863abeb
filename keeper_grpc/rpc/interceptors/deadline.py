"""Enforces the maximum duration of unary calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keeper_grpc.rpc import status
from keeper_grpc.rpc.interceptors.around import Around, Call


class Deadline(Around):
    """Ends unary calls after `seconds`, also those of a client that set no deadline.

    gRPC itself enforces a shorter deadline of the caller: it cancels the handler.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Cancel the handler after the maximum duration."""
        if call.streaming:
            yield
            return
        try:
            async with asyncio.timeout(self._seconds) as limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            await status.abort(call.context, status.deadline_exceeded())
