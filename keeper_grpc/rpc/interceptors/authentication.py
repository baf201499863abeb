"""Finds out who calls, and refuses whoever lacks the role for the call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import structlog
from grpc_health.v1 import health

from keeper_grpc.domain.access.identity import UNAUTHENTICATED, UNIDENTIFIED, Identity, Role
from keeper_grpc.domain.access.peer import PeerNames
from keeper_grpc.domain.errors import RoleMissing
from keeper_grpc.rpc.caller import Authenticates, Caller, set_caller
from keeper_grpc.rpc.interceptors.concern import Call, Concern, Metadata
from keeper_grpc.rpc.permissions import Permission, Reach, require

_HEADER = "authorization"

_HEALTH = f"/{health.SERVICE_NAME}/"
"""Open to all: probes have no credentials, and learn nothing but that."""

_REFLECTION = "/grpc.reflection."
_MAY_REFLECT = Permission(Role.OPERATE, Reach.PUBLISHED)


class Authentication(Concern):
    """Sets the call's identity. Runs before a request is looked at, so that strangers learn nothing about requests.

    authenticator: None lets everyone do everything, as `unauthenticated`.
    """

    def __init__(
        self,
        authenticator: Authenticates | None,
        *,
        reflection: Literal["operate", "open", "off"],
        unauthenticated: Identity = UNAUTHENTICATED,
    ) -> None:
        self._authenticator = authenticator
        self._open = (_HEALTH, _REFLECTION) if reflection == "open" else (_HEALTH,)
        self._unauthenticated = unauthenticated

    def begin(self, call: Call) -> Awaitable[None] | None:
        """Raise Unauthenticated, PermissionDenied or KeysUnavailable, or let the awaitable do so."""
        if call.method.startswith(self._open):
            call.identity = UNIDENTIFIED
            return None
        if self._authenticator is None:
            call.identity = self._unauthenticated
            set_caller(Caller(self._unauthenticated))
            return None
        context = call.context
        authorization = _authorization(context.invocation_metadata())

        def peer() -> PeerNames:
            return peer_names(context)

        found = self._authenticator.authenticate(authorization, peer)
        if isinstance(found, Identity):
            _admit(call, Caller(found, authorization, peer))
            return None
        return _admitted(call, found, authorization, peer)

    def recognized(self, method: str, metadata: Metadata, context: Any) -> Identity | None:
        """Who calls, where that is known at once and it may call this method; None decides nothing."""
        if self._authenticator is None:
            return self._unauthenticated
        found = self._authenticator.recognized(
            _authorization(metadata), lambda: peer_names(context)
        )
        try:
            if found is not None:
                require(method, found)
        except RoleMissing:
            return None
        return found


async def _admitted(
    call: Call,
    found: Awaitable[Identity],
    authorization: list[str],
    peer: Callable[[], PeerNames],
) -> None:
    _admit(call, Caller(await found, authorization, peer))


def _admit(call: Call, caller: Caller) -> None:
    identity = caller.identity
    if identity.loggable:
        structlog.contextvars.bind_contextvars(identity=identity.name)
    if call.method.startswith(_REFLECTION):
        _MAY_REFLECT.check(identity)
    else:
        require(call.method, identity)
    call.identity = identity
    set_caller(caller)


def _authorization(metadata: Metadata) -> list[str]:
    """The `authorization` headers; more than one is none that holds."""
    return [value for key, value in metadata or () if key == _HEADER and isinstance(value, str)]


def peer_names(context: Any) -> PeerNames:
    """The names in the certificate that the TLS layer has verified; none where there was none."""
    found = context.auth_context() or {}
    return PeerNames(
        _texts(found.get("x509_subject_alternative_name", ())),
        _texts(found.get("x509_common_name", ())),
    )


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(value.decode(errors="replace") for value in values)
