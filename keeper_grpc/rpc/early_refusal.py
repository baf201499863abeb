"""Refuses calls that the gate has no room for, before they are read."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

from keeper_grpc.admission.gate import Gate
from keeper_grpc.admission.shed import Reason, Shed
from keeper_grpc.domain.access.identity import Identity
from keeper_grpc.rpc import status
from keeper_grpc.rpc.accepting import Refusal
from keeper_grpc.rpc.interceptors.admission import KINDS, too_busy
from keeper_grpc.rpc.interceptors.authentication import Authentication
from keeper_grpc.rpc.interceptors.identity_limits import IdentityLimits
from keeper_grpc.rpc.interceptors.request_id import HEADER, request_id

STEPS = 20
"""In a second: RetryInfo says one of so many delays, so that most refusals are the bytes of one before."""


class RefusalListener(Protocol):
    """Receives each refusal: the call's full method, its code by name, and who called."""

    def __call__(self, method: str, code: str, identity: Identity) -> None: ...


class EarlyRefusal:
    """Says what the interceptors would: who calls is known and may, has not used up its limits, and the gate is full.

    In all other cases it says nothing, and they decide. So strangers get the answer that they always get, and are no part
    of the pressure. `taken_up` is called for each call that is refused.
    """

    def __init__(
        self,
        gate: Gate,
        authentication: Authentication,
        limits: IdentityLimits,
        *,
        taken_up: Callable[[], None],
        on_refusal: RefusalListener,
    ) -> None:
        self._gate = gate
        self._authentication = authentication
        self._limits = limits
        self._taken_up = taken_up
        self._on_refusal = on_refusal

    def __call__(self, method: str, context: Any) -> Refusal | None:
        """The refusal of a call, as `accepting.Refuse` says."""
        kind = KINDS.get(method)
        if kind is None or not self._gate.is_full(kind):
            return None
        metadata = context.invocation_metadata()
        identity = self._authentication.recognized(method, metadata, context)
        if identity is None or not self._limits.passes(identity):
            return None
        self._taken_up()
        refusal = _refusal(round(self._gate.turn_away(kind).retry_after * STEPS))
        self._on_refusal(method, refusal.code.name, identity)
        return Refusal(
            refusal.code,
            refusal.message,
            ((HEADER, request_id(metadata)), *refusal.metadata),
        )


@lru_cache(maxsize=1_024)
def _refusal(steps: int) -> Refusal:
    """Without the call's id."""
    told = status.to_status(too_busy(Shed(Reason.OVERLOAD, steps / STEPS)))
    return Refusal(status.code_of(told), told.message, status.trailing_metadata(told))
