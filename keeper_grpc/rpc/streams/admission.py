"""Lets a question of a stream pass, or not, as if it were a call of its own."""

from __future__ import annotations

import time
from collections.abc import Callable

from keeper_grpc.domain.access.identity import Identity
from keeper_grpc.domain.access.meter import Meter
from keeper_grpc.rpc.caller import Authenticates, caller
from keeper_grpc.rpc.permissions import NETWORK, require
from keeper_grpc.usecases.accounts.speak_for import SpeakFor


class QuestionAdmission:
    """Asks again who calls: a token may expire, and an identity change, while its stream goes on. `rpc` is the stream's."""

    def __init__(
        self,
        authenticator: Authenticates | None,
        speak_for: SpeakFor,
        meter: Meter,
        clock: Callable[[], float] = time.monotonic,
        *,
        rpc: str = "EnhanceInsights",
    ) -> None:
        self._method = f"/{NETWORK}/{rpc}"
        self._authenticator = authenticator
        self._speak_for = speak_for
        self._meter = meter
        self._clock = clock

    async def __call__(self, account_id: str) -> None:
        """Raise Unauthenticated, PermissionDenied, KeysUnavailable or RateExceeded."""
        identity = await self._identity()
        self._meter.question(identity, self._clock())
        waiting = self._speak_for.account(identity, account_id)
        if waiting is not None:
            await waiting

    async def _identity(self) -> Identity:
        known = caller()
        if self._authenticator is None:
            return known.identity
        found = self._authenticator.authenticate(known.authorization, known.peer)
        identity = found if isinstance(found, Identity) else await found
        require(self._method, identity)
        return identity
