"""The refusal of work, why, and when to come back."""

from __future__ import annotations

import enum
from random import Random

SOONEST, LATEST = 0.5, 10.0
"""Seconds."""


class Reason(enum.Enum):
    """Why work was refused."""

    OVERLOAD = "overload"
    """More of its kind comes than can be done."""
    LATE = "late"
    """Its turn would not come before its deadline, or did not."""
    FULL = "full"
    """As many of its kind wait as may."""


class Shed(Exception):
    """Nothing of this work was done. `retry_after` is in seconds."""

    def __init__(self, reason: Reason, retry_after: float) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.retry_after = retry_after


DOUBLED = 5
"""Rounds of pressure after which a refused caller is to stay away twice as long as in the first, thrice after as many more."""


def retry_after(ratio: float, rounds: int, rng: Random) -> float:
    """Seconds after which to try again, more of them the more is refused and the longer that lasts, and spread by half.

    `ratio` is what comes to what can be done, `rounds` how long the pressure has lasted. All that were refused would
    otherwise come back at once; and callers who are no overload by themselves, coming again and again, would keep up the
    pressure that another has left.
    """
    return min(LATEST, SOONEST * ratio * (1 + rounds / DOUBLED)) * rng.uniform(1.0, 1.5)
