"""Makes the parts that decide who may call where callers say who they are, or the port has TLS: from the settings."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import grpc

from keeper_grpc.access.authenticator import Authenticator
from keeper_grpc.access.certificates import Files, ServerTls
from keeper_grpc.access.http_tls import http_context
from keeper_grpc.access.identities_file import Identities, read_identities
from keeper_grpc.access.jwt_tokens import JwtRules, JwtTokens
from keeper_grpc.access.key_sources import FileKeys, KeySource, UrlKeys
from keeper_grpc.access.signing_keys import ALGORITHMS
from keeper_grpc.access.watched_file import WatchedFile
from keeper_grpc.composition.limits import identity_limits
from keeper_grpc.listening import authenticates, is_loopback
from keeper_grpc.settings import Settings, SettingsInvalid

LOOK_INTERVAL = 2.0
"""Seconds between looks at the files. A certificate is looked at with every handshake, too."""


class GuardedAccess:
    """Who may call one server, with what its settings name. `run` it as a task; `reload` it when an operator asks for it.

    authenticator: None where there is no authentication. Raises FileUnusable and SettingsInvalid.
    """

    def __init__(self, settings: Settings) -> None:
        self._asked = False
        self._refresh = settings.jwt_refresh.total_seconds()
        self._tls = _tls(settings)
        self._identities = _identities(settings)
        self._keys = _keys(settings)
        certificates = settings.tls_client_ca is not None and self._identities is not None
        self.authenticator: Authenticator | None = None
        if self._identities is not None or self._keys is not None:
            self.authenticator = Authenticator(
                identities=self._identities,
                jwt=JwtTokens(_rules(settings), self._keys) if self._keys else None,
                keys=self._keys,
                certificates=certificates,
            )

    @property
    def certificate_expires(self) -> datetime | None:
        """When the server's certificate does; None without TLS."""
        return self._tls.expires if self._tls else None

    def credentials(self) -> grpc.ServerCredentials | None:
        """Of one port; None without TLS."""
        return self._tls.credentials() if self._tls else None

    def http_context(self) -> ssl.SSLContext | None:
        """The TLS of the HTTP port; None without TLS."""
        return http_context(self._tls.files, self._tls) if self._tls else None

    def reload(self) -> None:
        """Read every file again now, also one that looks unchanged, and the provider's keys at the next look."""
        self._asked = True
        for file in (self._tls, self._identities):
            if file is not None:
                file.look(anyway=True)

    async def start(self) -> None:
        """Read the provider's keys. Where it does not answer, the calls that need them are UNAVAILABLE meanwhile."""
        if self._keys is not None:
            await self._keys.renew()

    async def run(self) -> NoReturn:
        """Follow the files and the provider's keys for ever."""
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            for file in (self._tls, self._identities):
                if file is not None:
                    file.look()
            # A file of keys is looked at as often as the others; an address is asked as often as the settings say,
            # and every few seconds while it has not answered yet.
            due = isinstance(self._keys, FileKeys) or loop.time() - renewed >= self._refresh
            if self._keys is not None and (due or self._asked or self._keys.keys is None):
                self._asked = False
                renewed = loop.time()
                await self._keys.renew()


def check_access(settings: Settings) -> None:
    """Raise SettingsInvalid or FileUnusable for what would stop `GuardedAccess`, in milliseconds."""
    _tls(settings)
    _identities(settings)
    if settings.jwt_keys is not None:
        _rules(settings)
        _keys(settings)


def _tls(settings: Settings) -> ServerTls | None:
    certificate, key = settings.tls_certificate, settings.tls_key
    if settings.tls_client_ca is not None and certificate is None:
        raise SettingsInvalid("KEEPER_TLS_CLIENT_CA: needs KEEPER_TLS_CERTIFICATE beside it")
    if settings.tls_client_ca is not None and not authenticates(settings):
        raise SettingsInvalid(
            "KEEPER_TLS_CLIENT_CA: needs KEEPER_IDENTITIES_FILE, which says what each certificate may do, "
            "or KEEPER_JWT_KEYS"
        )
    if certificate is None and key is None:
        return None
    if key is None:
        raise SettingsInvalid("KEEPER_TLS_KEY: required with KEEPER_TLS_CERTIFICATE")
    if certificate is None:
        raise SettingsInvalid("KEEPER_TLS_CERTIFICATE: required with KEEPER_TLS_KEY")
    return ServerTls(Files(certificate, key, settings.tls_client_ca))


def _identities(settings: Settings) -> WatchedFile[Identities] | None:
    path, limits = settings.identities_file, identity_limits(settings)
    if path is None:
        return None
    return WatchedFile([path], lambda: read_identities(path, limits))


def _rules(settings: Settings) -> JwtRules:
    for variable, value in (
        ("KEEPER_JWT_ISSUER", settings.jwt_issuer),
        ("KEEPER_JWT_AUDIENCE", settings.jwt_audience),
    ):
        if value is None:
            raise SettingsInvalid(f"{variable}: required with KEEPER_JWT_KEYS")
    return JwtRules(
        issuer=settings.jwt_issuer or "",
        audiences=_listed("KEEPER_JWT_AUDIENCE", settings.jwt_audience or ""),
        algorithms=_algorithms(settings),
        leeway=settings.jwt_leeway,
        roles_claim=settings.jwt_roles_claim,
        accounts_claim=settings.jwt_accounts_claim,
        owners_claim=settings.jwt_owners_claim,
        limits=identity_limits(settings),
    )


def _algorithms(settings: Settings) -> frozenset[str]:
    named = _listed("KEEPER_JWT_ALGORITHMS", settings.jwt_algorithms)
    if not set(named) <= set(ALGORITHMS):
        # Neither "none" nor a symmetric one, with which whoever verifies could sign as well.
        raise SettingsInvalid(f"KEEPER_JWT_ALGORITHMS: must be of {', '.join(ALGORITHMS)}")
    return frozenset(named)


def _listed(variable: str, text: str) -> tuple[str, ...]:
    words = tuple(word for each in text.split(",") if (word := each.strip()))
    if not words:
        raise SettingsInvalid(f"{variable}: must not be empty")
    return words


def _keys(settings: Settings) -> KeySource | None:
    where = settings.jwt_keys
    if where is None:
        return None
    allowed: Sequence[str] = sorted(_algorithms(settings))
    if "://" not in where:
        return FileKeys(Path(where), allowed)
    _require_safe(where)
    return UrlKeys(where, allowed)


def _require_safe(url: str) -> None:
    """Raise SettingsInvalid unless nobody on the way can replace the keys."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise SettingsInvalid("KEEPER_JWT_KEYS: is no address") from None
    if parts.scheme == "https" and host:
        return
    if parts.scheme == "http" and is_loopback(host):
        return
    raise SettingsInvalid(
        "KEEPER_JWT_KEYS: must be a file, or an address that begins with https://"
    )
