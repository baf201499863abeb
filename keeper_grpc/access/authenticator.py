"""Finds out who calls: by a bearer token, else by a client certificate."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence

from keeper_grpc.access.identities_file import Identities, ServiceToken
from keeper_grpc.access.jwt_tokens import JwtTokens, KeyUnknown, Verified
from keeper_grpc.access.key_sources import KeySource
from keeper_grpc.access.refusal import note_refusal
from keeper_grpc.access.verified_tokens import VerifiedTokens
from keeper_grpc.access.watched_file import WatchedFile
from keeper_grpc.domain.access.identity import Identity
from keeper_grpc.domain.access.peer import PeerNames
from keeper_grpc.domain.errors import (
    CertificateUnknown,
    CredentialsMissing,
    TokenExpired,
    TokenInvalid,
    Unauthenticated,
)

_SCHEME = "bearer"


class Authenticator:
    """Authenticates every call of one server.

    `identities` is None without a file, `jwt` and `keys` without an identity provider. `clock` is in seconds since 1970.
    """

    def __init__(
        self,
        *,
        identities: WatchedFile[Identities] | None,
        jwt: JwtTokens | None,
        keys: KeySource | None,
        certificates: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._identities = identities
        self._jwt = jwt
        self._keys = keys
        self._certificates = certificates
        self._clock = clock
        self._verified = VerifiedTokens()
        self._versions = self._versions_now()
        self._index_key = secrets.token_bytes(32)
        self._service_tokens = self._index()

    def authenticate(
        self, authorization: Sequence[str], peer: Callable[[], PeerNames]
    ) -> Identity | Awaitable[Identity]:
        """Who calls with these `authorization` headers, or with the certificate that `peer` returns.

        Awaitable where newer keys have to be looked for. Raises, or the awaitable does, Unauthenticated and
        KeysUnavailable.
        """
        self._follow()
        if authorization:
            return self._by_token(_bearer(authorization))
        if self._certificates:
            return self._by_certificate(peer())
        raise CredentialsMissing

    def recognized(
        self, authorization: Sequence[str], peer: Callable[[], PeerNames]
    ) -> Identity | None:
        """Who calls, where that was found out before, or needs nothing but the certificate; else None.

        It costs little, and leaves no trace: a call of whom None is said is to be authenticated.
        """
        self._follow()
        if authorization:
            token = _token(authorization)
            known = token and self._verified.find(self._verified.mark(token), self._clock())
            return known.identity if known else None
        try:
            return self._by_certificate(peer()) if self._certificates else None
        except Unauthenticated:
            return None

    def _by_token(self, token: str) -> Identity | Awaitable[Identity]:
        mark = self._verified.mark(token)
        known = self._verified.find(mark, self._clock())
        if known is not None:
            return known.identity
        service = self._service_token(token)
        if service is not None:
            return self._keep(mark, service)
        if self._jwt is None or token.count(".") != 2:  # noqa: PLR2004 - header, claims and signature
            note_refusal("unknown token")
            raise TokenInvalid
        try:
            return self._keep(mark, self._jwt.verify(token, self._now().subjects))
        except KeyUnknown:
            return self._by_newer_keys(self._jwt, token, mark)

    async def _by_newer_keys(self, jwt: JwtTokens, token: str, mark: bytes) -> Identity:
        verified = await jwt.verify_with_newer_keys(token, self._now().subjects)
        self._follow()
        return self._keep(mark, verified)

    def _service_token(self, token: str) -> Verified | None:
        digest = hashlib.sha256(token.encode()).digest()
        found = self._service_tokens.get(self._place(digest))
        # The place is by a key of this process, so that the time of the look-up tells nothing of stored hashes.
        if found is None or not hmac.compare_digest(found.digest, digest):
            return None
        until = found.expires.timestamp() if found.expires else None
        if until is not None and until <= self._clock():
            note_refusal("expired service token")
            raise TokenExpired
        return Verified(found.identity, until)

    def _by_certificate(self, names: PeerNames) -> Identity:
        # The common name is for certificates without alternative names only (RFC 6125, 6.4.4).
        known = self._now().certificates
        found = {
            identity.name: identity
            for name in names.alternative or names.common
            if (identity := known.get(name)) is not None
        }
        if len(found) == 1:
            return next(iter(found.values()))
        if not (names.alternative or names.common):
            raise CredentialsMissing
        raise CertificateUnknown

    def _keep(self, mark: bytes, verified: Verified) -> Identity:
        self._verified.remember(mark, verified)
        return verified.identity

    def _now(self) -> Identities:
        return self._identities.current if self._identities else Identities()

    def _follow(self) -> None:
        """Forget what was verified by keys or identities of before: a token may have been taken back."""
        versions = self._versions_now()
        if versions != self._versions:
            self._versions = versions
            self._verified.clear()
            self._service_tokens = self._index()

    def _versions_now(self) -> tuple[int, int]:
        return (
            self._identities.version if self._identities else 0,
            self._keys.version if self._keys else 0,
        )

    def _index(self) -> dict[bytes, ServiceToken]:
        return {self._place(token.digest): token for token in self._now().tokens}

    def _place(self, digest: bytes) -> bytes:
        return hashlib.blake2b(digest, key=self._index_key, digest_size=16).digest()


def _bearer(authorization: Sequence[str]) -> str:
    """The token of the one header."""
    token = _token(authorization)
    if token is None:
        note_refusal("not one bearer token")
        raise TokenInvalid
    return token


def _token(authorization: Sequence[str]) -> str | None:
    """The token where there is one header with one (RFC 6750)."""
    if len(authorization) == 1:
        scheme, _, token = authorization[0].partition(" ")
        token = token.strip()
        if scheme.lower() == _SCHEME and token:
            return token
    return None
