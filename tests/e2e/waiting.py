"""Waiting for what other processes do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SOON = 60.0
"""Seconds after which what a test waits for is taken not to come. Milliseconds on a quiet machine, and no
promise of ours: it ends a test that would hang, and decides nothing else."""

POLL = 0.02
"""Seconds between polls of a condition that sends no notification."""


async def until(look: Callable[[], T | None], *, within: float, what: str) -> T:
    """The first true answer of `look`. Fails with `what` when there is none in `within` seconds."""
    try:
        async with asyncio.timeout(within):
            while not (answer := look()):  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(POLL)
            return answer
    except TimeoutError:
        raise AssertionError(f"not within {within:g} s: {what}") from None
