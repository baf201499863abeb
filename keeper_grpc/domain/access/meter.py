"""Holds identities to their limits, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from keeper_grpc.domain.access.identity import Identity
from keeper_grpc.domain.access.limits import Limits, TokenBucket
from keeper_grpc.domain.errors import ConcurrencyExceeded, RateExceeded

MOST = 10_000
"""Identities remembered, about 3 MB. Beyond, the one that called longest ago is forgotten, if none of its calls runs."""


@dataclass(slots=True)
class _Use:
    """What one identity has used."""

    limits: Limits
    bucket: TokenBucket | None
    running: int = 0


class Meter:
    """Counts the calls of every identity that has limits. `now` is in seconds of one monotonic clock."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._used: OrderedDict[str, _Use] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used)

    def begin(self, identity: Identity, now: float) -> bool:
        """Count a call in; whether `end` has to count it out. Raises RateExceeded and ConcurrencyExceeded."""
        if identity.limits.unlimited:
            return False
        used = self._of(identity, now)
        most = identity.limits.concurrency
        if most is not None and used.running >= most:
            raise ConcurrencyExceeded
        self._take(used, now)
        used.running += 1
        return True

    def end(self, identity: Identity) -> None:
        """Count out a call that `begin` has counted in."""
        used = self._used.get(identity.name)
        if used is not None and used.running:
            used.running -= 1

    def question(self, identity: Identity, now: float) -> None:
        """Count a question of a stream, which is one call already, towards the rate. Raises RateExceeded."""
        if identity.limits.rate is not None:
            self._take(self._of(identity, now), now)

    @staticmethod
    def _take(used: _Use, now: float) -> None:
        wait = used.bucket.take(now) if used.bucket else 0.0
        if wait:
            raise RateExceeded(wait)

    def _of(self, identity: Identity, now: float) -> _Use:
        limits = identity.limits
        used = self._used.get(identity.name)
        if used is None:
            if len(self._used) >= self._most:
                self._forget_one()
            used = self._used[identity.name] = _Use(limits, _bucket(limits, now))
        elif used.limits != limits:
            # The file of identities was changed meanwhile.
            used.limits, used.bucket = limits, _bucket(limits, now)
        self._used.move_to_end(identity.name)
        return used

    def _forget_one(self) -> None:
        # Those that run calls are few: the process bounds its calls.
        oldest = next((name for name, used in self._used.items() if not used.running), None)
        if oldest is not None:
            del self._used[oldest]


def _bucket(limits: Limits, now: float) -> TokenBucket | None:
    return None if limits.rate is None else TokenBucket(limits.rate, limits.burst, now)
