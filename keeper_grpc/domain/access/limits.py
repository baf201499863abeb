"""How much one identity may ask: calls a second, and calls at a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """rate: calls a second on average. burst: calls at once after a pause. concurrency: calls and streams that have
    not ended. None is no limit.
    """

    rate: float | None = None
    burst: float = 1.0
    concurrency: int | None = None

    @property
    def unlimited(self) -> bool:
        """Whether there is nothing to count."""
        return self.rate is None and self.concurrency is None


UNLIMITED = Limits()


class TokenBucket:
    """Holds `burst` tokens at most and gets `rate` a second; each call takes one.

    Times are seconds of one monotonic clock.
    """

    __slots__ = ("_burst", "_rate", "_time", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = max(burst, 1.0)  # or no call would ever pass
        self._tokens = self._burst
        self._time = now

    def take(self, now: float) -> float:
        """Take a token: 0.0, or the seconds until there is one, having taken none."""
        self._fill(now)
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate

    def is_full(self, now: float) -> bool:
        """Whether it is as good as a new one."""
        self._fill(now)
        return self._tokens >= self._burst

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._time) * self._rate)
        self._time = max(now, self._time)
