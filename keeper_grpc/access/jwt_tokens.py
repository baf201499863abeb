"""JSON Web Tokens (RFC 7519) of one issuer, and the identities that their claims describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt

from keeper_grpc.access.key_sources import KeySource
from keeper_grpc.access.refusal import note_refusal
from keeper_grpc.domain.access.identity import Identity, Role
from keeper_grpc.domain.access.limits import Limits
from keeper_grpc.domain.accounts.account_id import AccountIdUnfit, canonical_account_id
from keeper_grpc.domain.errors import KeysUnavailable, TokenExpired, TokenInvalid

LONGEST = 16_384
"""Characters of a token. gRPC's own limit for all metadata of a call is 8 or 16 KB."""

LONGEST_SUBJECT = 200

_ROLES: Mapping[str, Role] = {role.value: role for role in Role}


@dataclass(frozen=True, slots=True)
class JwtRules:
    """What a token must be. The claims are named as the provider names them."""

    issuer: str
    audiences: tuple[str, ...]
    algorithms: frozenset[str]
    leeway: timedelta
    roles_claim: str
    accounts_claim: str
    owners_claim: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Verified:
    """An identity, and until when its token holds, in seconds since 1970; None is for ever."""

    identity: Identity
    until: float | None


class KeyUnknown(Exception):
    """The token names a key that is not in the set, or there is no set yet."""


class JwtTokens:
    """Verifies the tokens of one issuer."""

    def __init__(self, rules: JwtRules, keys: KeySource) -> None:
        self._rules = rules
        self._source = keys

    def verify(self, token: str, subjects: Mapping[str, Identity]) -> Verified:
        """The identity of a token: that of its subject in the file, else that of its claims.

        Raises TokenInvalid, TokenExpired and KeyUnknown.
        """
        if len(token) > LONGEST:
            raise TokenInvalid
        try:
            claims = self._claims(token)
        except jwt.ExpiredSignatureError:
            note_refusal("ExpiredSignatureError")
            raise TokenExpired from None
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
            note_refusal(type(error).__name__)
            raise TokenInvalid from None
        subject = claims["sub"]
        if (
            not isinstance(subject, str)
            or not 0 < len(subject) <= LONGEST_SUBJECT
            or not subject.isprintable()
        ):
            note_refusal("subject")
            raise TokenInvalid
        identity = subjects.get(subject) or self._described(subject, claims)
        return Verified(identity, float(claims["exp"]) + self._rules.leeway.total_seconds())

    async def verify_with_newer_keys(
        self, token: str, subjects: Mapping[str, Identity]
    ) -> Verified:
        """As `verify`, after a look for newer keys. Raises TokenInvalid, TokenExpired and KeysUnavailable."""
        looked = await self._source.missed()
        try:
            return self.verify(token, subjects)
        except KeyUnknown:
            if self._source.keys is None:
                raise KeysUnavailable from None
            note_refusal("unknown key" if looked else "unknown key, looked for too often")
            raise TokenInvalid from None

    def _claims(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        algorithm, key_id = header.get("alg"), header.get("kid")
        # Before the key is chosen: a token must not choose how it is verified.
        if algorithm not in self._rules.algorithms:
            raise jwt.InvalidAlgorithmError
        keys = self._source.keys
        key = keys.find(key_id, algorithm) if keys else None
        if key is None:
            raise KeyUnknown
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=self._rules.issuer,
            audience=self._rules.audiences,
            leeway=self._rules.leeway,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )

    def _described(self, subject: str, claims: Mapping[str, Any]) -> Identity:
        """The identity that the claims describe. Roles of other services are no roles here."""
        roles = {_ROLES[name] for name in _words(claims, self._rules.roles_claim) if name in _ROLES}
        accounts = claims.get(self._rules.accounts_claim, [])
        return Identity(
            f"jwt:{subject}",
            frozenset(roles),
            None if accounts == "all" else _ids(accounts),
            _ids(claims.get(self._rules.owners_claim, [])),
            self._rules.limits,
            loggable=False,
        )


def _words(claims: Mapping[str, Any], claim: str) -> list[str]:
    """A list, or words with blanks between them as in OAuth's `scope`."""
    value = claims.get(claim, [])
    if isinstance(value, str):
        return value.split(" ")
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    note_refusal("roles")
    raise TokenInvalid


def _ids(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        note_refusal("accounts or owners")
        raise TokenInvalid
    try:
        return frozenset(canonical_account_id(each) for each in value)
    except AccountIdUnfit:
        note_refusal("accounts or owners")
        raise TokenInvalid from None
