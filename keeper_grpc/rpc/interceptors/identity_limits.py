"""Holds each identity to its calls a second and its calls at a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from keeper_grpc.domain.access.identity import UNIDENTIFIED, Identity
from keeper_grpc.domain.access.meter import Meter
from keeper_grpc.domain.errors import ConcurrencyExceeded, RateExceeded
from keeper_grpc.rpc.interceptors.concern import Call, Concern


class IdentityLimits(Concern):
    """Counts calls by identity; a stream is one as long as it lasts. What is open to all is not counted."""

    def __init__(self, meter: Meter, clock: Callable[[], float] = time.monotonic) -> None:
        self._meter = meter
        self._clock = clock

    def begin(self, call: Call) -> None:
        """Raise RateExceeded or ConcurrencyExceeded."""
        identity = call.identity
        if identity is not UNIDENTIFIED:
            call.counted = self._meter.begin(identity, self._clock())

    def end(self, call: Call) -> None:
        """Count the call out."""
        if call.counted:
            self._meter.end(call.identity)

    def passes(self, identity: Identity) -> bool:
        """Count a call that is over at once, unless its identity has had what it may."""
        try:
            counted = self._meter.begin(identity, self._clock())
        except (ConcurrencyExceeded, RateExceeded):
            return False
        if counted:
            self._meter.end(identity)
        return True
