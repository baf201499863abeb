"""Who the call of the current task comes from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from keeper_grpc.domain.access.identity import UNAUTHENTICATED, Identity
from keeper_grpc.domain.access.peer import PeerNames


class Authenticates(Protocol):
    """Finds out who calls; see access/authenticator.py for the contract."""

    def authenticate(
        self, authorization: Sequence[str], peer: Callable[[], PeerNames]
    ) -> Identity | Awaitable[Identity]: ...

    def recognized(
        self, authorization: Sequence[str], peer: Callable[[], PeerNames]
    ) -> Identity | None: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """An identity, and what it has shown, by which it can be asked for again.

    authorization: the headers. peer: returns the names in the client certificate.
    """

    identity: Identity
    authorization: Sequence[str] = ()
    peer: Callable[[], PeerNames] = PeerNames


_CALLER: ContextVar[Caller] = ContextVar("caller")

_NOBODY = Caller(UNAUTHENTICATED)


def caller() -> Caller:
    """The caller of the current task; of a server without authentication it is unauthenticated."""
    return _CALLER.get(_NOBODY)


def set_caller(found: Caller) -> None:
    """For the rest of the current task, and the tasks that it starts."""
    _CALLER.set(found)
