"""How much work at once leaves each piece of it nearly as quick as alone.

No speed is configured: the time that a piece takes alone is measured on the machine, now and then again, and the
limit is what keeps the time in company within a multiple of it. It is a gradient limit (as Netflix's concurrency-limits
has it), with a measured baseline in the place of a long average, which an overload that lasts would raise.
"""

from __future__ import annotations

from collections import deque
from statistics import median

TOLERANCE = 1.8
"""Times the duration alone that a piece of work may take in company. What it waited before comes on top."""

ALONE_KEPT = 9
"""Durations alone that are kept of each work: few, so that a machine that becomes slower is noticed."""

FEWEST = 5
"""Durations from which the limit is moved: a single one says little."""

MOST_CUT = 0.5
"""The least part of the limit that remains after one adaptation."""

STEP = 0.5
GROWTH = 0.1
"""What is added in one adaptation, or this share of the limit where that is more."""

UNDISTURBED = 1.3
QUICK_GROWTH = 0.3
"""Below this ratio what is in progress hardly disturbs each other, as where it waits for another service: more is added."""

FIRST = 4.0
MOST = 64.0


class AdaptiveLimit:
    """The limit, and what it is derived from. Works are named; their number is the program's."""

    def __init__(self) -> None:
        self._limit = FIRST
        self._alone: dict[str, deque[float]] = {}
        self._ratios: deque[float] = deque(maxlen=200)

    @property
    def value(self) -> int:
        """Pieces of work that may be in progress, at least one."""
        return int(self._limit)

    def quiet(self, work: str) -> float | None:
        """Seconds that this work takes alone, None before it was seen alone."""
        seen = self._alone.get(work)
        return median(seen) if seen else None

    def longest_quiet(self) -> float:
        """Seconds that the slowest of the works takes alone; 0 before any was seen."""
        return max((median(seen) for seen in self._alone.values()), default=0.0)

    def alone(self, work: str, seconds: float) -> None:
        """This work was done with no other beside it."""
        self._alone.setdefault(work, deque(maxlen=ALONE_KEPT)).append(seconds)

    def in_company(self, work: str, seconds: float) -> None:
        """This work was done."""
        quiet = self.quiet(work)
        if quiet:
            self._ratios.append(seconds / quiet)

    def adapt(self, *, wanted: bool) -> None:
        """Move the limit by what was seen since the last time. It grows only where more was `wanted`."""
        if len(self._ratios) < FEWEST:
            return
        ratio = median(self._ratios)
        self._ratios.clear()
        if ratio > TOLERANCE:
            self._limit = max(1.0, self._limit * max(MOST_CUT, TOLERANCE / ratio))
        elif wanted:
            growth = QUICK_GROWTH if ratio < UNDISTURBED else GROWTH
            self._limit = min(MOST, self._limit + max(STEP, self._limit * growth))
