"""How much work at once leaves each piece of it nearly as quick as alone.

No speed is configured: the time that a piece takes alone is measured on the machine, now and then again. What a piece
takes in company is about proportional to how much is in progress, so what was in progress and how long it took say how
much may be. It is a gradient limit (as Netflix's concurrency-limits has it), with a measured baseline in the place of a long
average, which an overload that lasts would raise, and with what was in progress in the place of the limit, which says
nothing where it held nothing back.
"""

from __future__ import annotations

from collections import deque
from statistics import median

TOLERANCE = 2.5
"""Times the duration alone that a piece of work may take in company. A caller waits a little longer: its call is taken up
and answered by the same busy process."""

ALONE_KEPT = 9
"""Durations alone that are kept of each work: few, so that a machine that becomes slower is noticed."""

FEWEST = 5
"""Durations from which the limit is moved: a single one says little."""

MOST_CUT, MOST_GROWTH = 0.5, 1.5
"""What one adaptation leaves of the limit at least, and at most."""

WEIGHT = 0.5
"""Of what was seen last, beside the limit before it."""

FIRST, MOST = 4.0, 64.0

LEAST = 3
"""Three that share all they need are three times as slow as one. Where they are slower, something else is the cause (refusals,
the work of others), and fewer would only leave the process idle."""


class AdaptiveLimit:
    """The limit, and what it is derived from. Works are named; their number is the program's."""

    def __init__(self) -> None:
        self._limit = FIRST
        self._alone: dict[str, deque[float]] = {}
        self._disturbed: dict[str, deque[float]] = {}
        """As `_alone`, of work beside which calls were refused. None since it was seen undisturbed."""
        self._ratios: deque[float] = deque(maxlen=200)
        self._allowed: deque[float] = deque(maxlen=200)
        """By each piece: as many as would have made it as slow as it may be."""

    @property
    def value(self) -> int:
        """Pieces of work that may be in progress."""
        return max(LEAST, self.measured)

    @property
    def measured(self) -> int:
        """What the durations alone say, one at least: work that can wait without being refused keeps to it."""
        return round(self._limit)

    def quiet(self, work: str) -> float | None:
        """Seconds that this work takes alone, None before it was seen alone."""
        medians = [median(seen[work]) for seen in (self._alone, self._disturbed) if work in seen]
        return min(medians, default=None)

    def longest_quiet(self) -> float:
        """Seconds that the slowest of the works takes alone; 0 before any was seen."""
        works = self._alone.keys() | self._disturbed.keys()
        return max((self.quiet(work) or 0.0 for work in works), default=0.0)

    def alone(self, work: str, seconds: float, *, disturbed: bool = False) -> None:
        """This work was done with no other in progress.

        Refusals disturb it. What a piece takes beside a thousand of them a second says only that it may be quicker than was
        known, never that it is slower: the limit would follow the overload.
        """
        if not disturbed:
            self._disturbed.pop(work, None)
        seen = self._disturbed if disturbed else self._alone
        seen.setdefault(work, deque(maxlen=ALONE_KEPT)).append(seconds)

    def in_company(self, work: str, seconds: float, at_once: float) -> None:
        """This work was done, `at_once` being in progress with it, itself included."""
        quiet = self.quiet(work)
        if quiet and seconds > 0:  # a coarse clock may see none pass
            ratio = seconds / quiet
            self._ratios.append(ratio)
            self._allowed.append(at_once * TOLERANCE / ratio)

    def adapt(self, *, wanted: bool) -> None:
        """Move the limit by what was seen since the last time. It grows only where more was `wanted`."""
        if len(self._ratios) < FEWEST:
            return
        ratio = median(self._ratios)
        slow = ratio > TOLERANCE
        allowed = median(self._allowed)
        if wanted:
            # Where calls come by chance, the limit is reached now and then, and fewer are in progress most of the time.
            allowed = max(allowed, self._limit * TOLERANCE / ratio)
        self._ratios.clear()
        self._allowed.clear()
        if slow or wanted:
            moved = self._limit + WEIGHT * (allowed - self._limit)
            moved = min(self._limit * MOST_GROWTH, max(self._limit * MOST_CUT, moved))
            if not wanted:
                moved = min(moved, self._limit)
            self._limit = min(MOST, max(1.0, moved))
