"""A message, or the end of a call, on its way to a caller, who may be gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import grpc


async def sent(writing: Awaitable[None]) -> None:
    """Wait until it is written. Raises CancelledError where the caller has disconnected."""
    try:
        await writing
    except grpc.aio.InternalError as failure:
        # gRPC has not cancelled this handler yet.
        raise asyncio.CancelledError from failure
