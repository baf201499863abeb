"""Waiting for what other processes do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SOON = 30.0
"""Seconds for what takes milliseconds on a quiet machine, and is no promise of ours."""

POLL = 0.02
"""Seconds between looks at something that tells of itself in no other way."""


async def until(look: Callable[[], T | None], *, within: float, what: str) -> T:
    """The first true answer of `look`. Fails with `what` when there is none in `within` seconds."""
    try:
        async with asyncio.timeout(within):
            while not (answer := look()):  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(POLL)
            return answer
    except TimeoutError:
        raise AssertionError(f"not within {within:g} s: {what}") from None
