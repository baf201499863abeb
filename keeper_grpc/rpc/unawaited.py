"""Begins operations of gRPC at once, without a task for each. Nobody waits for their end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

LOOKED_AT = 2
"""Operations under way that are looked at with each new one: more than one, so that they become fewer."""


class Unawaited:
    """Begins operations, and keeps what gRPC works on until it is done.

    A task for each would begin in the loop's next turn and end in others, and the turns of a loop are a tenth of what a
    refusal costs. What is done is let go when others are begun; what fails has lost its caller.
    """

    def __init__(self) -> None:
        self._under_way: deque[_Operation] = deque()

    def __len__(self) -> int:
        """Those that are kept."""
        return len(self._under_way)

    def begin(self, operation: Coroutine[Any, Any, Any]) -> None:
        """Begin one."""
        for _ in range(min(LOOKED_AT, len(self._under_way))):
            earlier = self._under_way.popleft()
            if not earlier.is_over():
                self._under_way.append(earlier)
        begun = _Operation(operation)
        if not begun.is_over():
            self._under_way.append(begun)

    def let_go(self) -> None:
        """Let go of all that is done, as the last thing."""
        self._under_way = deque(each for each in self._under_way if not each.is_over())


class _Operation:
    """One that goes on, from one future that it awaits to the next, whenever somebody looks."""

    def __init__(self, steps: Coroutine[Any, Any, Any]) -> None:
        self._steps = steps
        self._awaited: asyncio.Future[Any] | None = None
        self._go_on()

    def is_over(self) -> bool:
        if self._awaited is not None and self._awaited.done():
            self._go_on()
        return self._awaited is None

    def _go_on(self) -> None:
        try:
            self._awaited = self._steps.send(None)
        except Exception:  # noqa: BLE001 - its end is one as well; for others see above
            self._awaited = None
