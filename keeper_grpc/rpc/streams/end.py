"""Ending a stream that only ever ends with an error."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import grpc

from keeper_grpc.domain.errors import KeeperError
from keeper_grpc.rpc import status

LAST_WORD = 1.0
"""Seconds for the status to leave. One whose reader does not read waits in gRPC, without us."""


async def end_stream(context: grpc.aio.ServicerContext[Any, Any], error: KeeperError) -> None:
    """End the call. The status goes behind what the reader has not read, so it may have to wait.

    gRPC knows the status from the beginning on, so the handler may return before it has left.
    """
    ending = asyncio.ensure_future(status.abort(context, status.to_status(error)))
    await asyncio.wait([ending], timeout=LAST_WORD)
    if not ending.done():
        ending.cancel()
        await asyncio.wait([ending])
    if not ending.cancelled():
        with contextlib.suppress(grpc.aio.InternalError):  # the caller is gone
            await ending
