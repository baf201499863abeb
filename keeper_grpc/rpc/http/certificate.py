"""The names in the certificate that a caller over HTTP has shown, as gRPC's context gives them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from keeper_grpc.rpc.http.origins import App

AuthContext = Mapping[str, Sequence[bytes]]

STATE = "certificate"
"""Where a connection puts them for its requests."""

_NAMED = frozenset({"DNS", "URI", "IP Address", "email"})
"""Alternative names that are text; gRPC knows the same."""

_SHOWN: ContextVar[AuthContext] = ContextVar("certificate")


def names_of(transport: asyncio.BaseTransport) -> AuthContext:
    """The names in the certificate that TLS has verified; none without one."""
    secure: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    found: Mapping[str, Any] = (secure.getpeercert() or {}) if secure is not None else {}
    return {
        "x509_subject_alternative_name": [
            name.encode() for kind, name in found.get("subjectAltName", ()) if kind in _NAMED
        ],
        "x509_common_name": [name.encode() for name in _common_names(found)],
    }


def _common_names(found: Mapping[str, Any]) -> Iterator[str]:
    for attributes in found.get("subject", ()):
        yield from (value for key, value in attributes if key == "commonName")


def shown() -> AuthContext:
    """Those of the current request's connection."""
    return _SHOWN.get({})


class Certified:
    """Lets a request's handler ask what its connection has shown."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        _SHOWN.set(scope["state"][STATE])
        await self._app(scope, receive, send)
