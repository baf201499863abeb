"""Ends a stream that can only end with an error."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import grpc

from keeper_grpc.domain.errors import KeeperError
from keeper_grpc.rpc import status

LAST_WORD = 1.0
"""Seconds to wait until the status is sent. For a reader that does not read, gRPC keeps it."""


async def end_stream(context: grpc.aio.ServicerContext[Any, Any], error: KeeperError) -> None:
    """End the call. The status is queued behind unread messages, so sending it may have to wait.

    gRPC holds the status at once, so the handler may return before it is sent.
    """
    ending = asyncio.ensure_future(status.abort(context, status.to_status(error)))
    await asyncio.wait([ending], timeout=LAST_WORD)
    if not ending.done():
        ending.cancel()
        await asyncio.wait([ending])
    if not ending.cancelled():
        with contextlib.suppress(grpc.aio.InternalError):  # the caller is gone
            await ending
