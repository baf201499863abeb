"""How many connections of a pool may be in use: as many as the server gives, which may be fewer than the pool's size."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

GROWS_AFTER: Final = 5.0
"""Seconds after a refusal until one more connection is tried: others may have given theirs back."""

PAUSE: Final = 0.1
"""Seconds until the next try where this process has no connection in use that it could wait for."""


class ConnectionLimit:
    """Lets callers in, in their order, while fewer than the limit are inside; a refusal of the server lowers it.

    Without it every caller beyond what the server gives would be refused at once, also while one inside is about to
    leave, and each try costs the server a process.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._allowed = most
        self._inside = 0
        self._grows_at = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def allowed(self) -> int:
        """How many may be inside now."""
        return self._allowed

    async def enter(self) -> None:
        """Wait for a place and take it."""
        self._grow()
        if self._inside < self._allowed and not self._waiting:
            self._inside += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()  # the place that came too late
            elif (
                place in self._waiting
            ):  # unless it came up after it was cancelled, and was passed over
                self._waiting.remove(place)
            raise

    def leave(self) -> None:
        """Give the place back."""
        self._inside -= 1
        self._grow()
        while self._waiting and self._inside < self._allowed:
            place = self._waiting.popleft()
            if not place.done():
                self._inside += 1
                place.set_result(None)

    async def refused(self) -> None:
        """The server gave the caller no connection: leave, and wait until another try makes sense."""
        others = self._inside - 1
        self._allowed = max(1, min(self._allowed, others))
        self._grows_at = self._clock() + GROWS_AFTER
        self.leave()
        if others == 0:
            await asyncio.sleep(PAUSE)

    def _grow(self) -> None:
        if self._allowed < self._most and self._clock() >= self._grows_at:
            self._allowed += 1
            self._grows_at = self._clock() + GROWS_AFTER
