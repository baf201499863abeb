"""Captures that are ready beforehand, sent by callers that do nothing else: what the capture path allows."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import TYPE_CHECKING

from bench.imports.history import captures
from keeper_grpc.client.channel import open_channel
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub

if TYPE_CHECKING:
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

_MOST_A_SECOND = 2_000
_DEADLINE = 120.0


async def plain(port: int, callers: int, seconds: float, seed: int) -> tuple[int, float]:
    """How many captures were answered, and in how many seconds: each caller waits for its answer."""
    ready = iter([*islice(captures(seed), int(seconds * _MOST_A_SECOND))])
    async with open_channel(f"127.0.0.1:{port}", None, ()) as channel:
        network: NetworkLearningServiceAsyncStub = NetworkLearningServiceStub(channel)
        answered, began = 0, time.monotonic()

        async def caller() -> None:
            nonlocal answered
            while time.monotonic() - began < seconds and (request := next(ready, None)) is not None:
                await network.CapturePattern(request, timeout=_DEADLINE)
                answered += 1

        await asyncio.gather(*(caller() for _ in range(callers)))
        return answered, time.monotonic() - began
