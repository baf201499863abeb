"""Logs calls that were refused before they were read: one line a second, for a line each would cost as much as they do."""

from __future__ import annotations

import asyncio
from collections import Counter

import structlog

from keeper_grpc.domain.access.identity import Identity

log = structlog.get_logger()

EVERY = 1.0
"""Seconds."""


class RefusedCalls:
    """Counts them by method, code and identity, and logs the counts."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str | None]] = Counter()

    def count(self, method: str, code: str, identity: Identity) -> None:
        """One more, to be logged within a second."""
        if not self._counts:
            asyncio.get_running_loop().call_later(EVERY, self.log)
        self._counts[method, code, identity.name if identity.loggable else None] += 1

    def log(self) -> None:
        """Log what was counted since the last time."""
        for (method, code, identity), calls in self._counts.items():
            known = {} if identity is None else {"identity": identity}
            log.info("calls_refused", method=method, code=code, calls=calls, **known)
        self._counts.clear()
