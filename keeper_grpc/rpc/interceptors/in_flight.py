"""Counts the calls in flight, for the drain."""

from __future__ import annotations

import asyncio

from keeper_grpc.rpc.interceptors.concern import Call, Concern

_WATCH = "/grpc.health.v1.Health/Watch"
"""A health watch never ends by itself, so the drain must not wait for it."""


class InFlight(Concern):
    """Counts calls, health watches aside."""

    def __init__(self) -> None:
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def count(self) -> int:
        """Calls in flight."""
        return self._count

    async def idle(self) -> None:
        """Wait until no call is in flight."""
        await self._idle.wait()

    def begin(self, call: Call) -> None:
        """Count the call in."""
        if call.method != _WATCH:
            self._count += 1
            self._idle.clear()

    def end(self, call: Call) -> None:
        """Count the call out."""
        if call.method != _WATCH:
            self._count -= 1
            if not self._count:
                self._idle.set()
