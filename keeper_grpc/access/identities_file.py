"""The file of identities: who may call by which token, certificate or subject, and what each may do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from keeper_grpc.access.watched_file import FileUnusable, read_file
from keeper_grpc.domain.access.identity import NAME, UNAUTHENTICATED, UNIDENTIFIED, Identity, Role
from keeper_grpc.domain.access.limits import Limits
from keeper_grpc.domain.accounts.account_id import AccountIdUnfit, canonical_account_id

VARIABLE = "KEEPER_IDENTITIES_FILE"

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """A static token, by the SHA-256 of its UTF-8 bytes; valid until `expires`, if there is such a time."""

    digest: bytes
    identity: Identity
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class Identities:
    """What the file says: the tokens, and identities by the name in a certificate and by the subject of a JWT."""

    tokens: tuple[ServiceToken, ...] = ()
    certificates: Mapping[str, Identity] = field(default_factory=dict)
    subjects: Mapping[str, Identity] = field(default_factory=dict)


def _canonical(value: str) -> str:
    try:
        return canonical_account_id(value)
    except AccountIdUnfit as error:
        raise PydanticCustomError("account_id", "{why}", {"why": str(error)}) from None


def _digest(value: str) -> str:
    if not _SHA256.fullmatch(value):
        raise PydanticCustomError(
            "sha256", "must be 64 lower-case hexadecimal digits, as keeper tokens hash prints them"
        )
    return value


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise PydanticCustomError("name", "must be letters, digits and ._@/- only")
    if value in (UNAUTHENTICATED.name, UNIDENTIFIED.name):
        raise PydanticCustomError("name", "is the name of callers without authentication")
    return value


_Id = Annotated[str, AfterValidator(_canonical)]
_Known = Annotated[str, Field(min_length=1, max_length=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Token(_Strict):
    sha256: Annotated[str, AfterValidator(_digest)]
    expires: datetime | date | None = None


class _Entry(_Strict):
    name: Annotated[str, AfterValidator(_name)]
    roles: frozenset[Role]
    accounts: Literal["all"] | frozenset[_Id] = frozenset()
    owners: frozenset[_Id] = frozenset()
    tokens: tuple[_Token, ...] = ()
    certificates: tuple[_Known, ...] = ()
    subjects: tuple[_Known, ...] = ()
    rate: Annotated[float, Field(gt=0, le=1e6)] | None = None
    burst: Annotated[float, Field(ge=1, le=1e6)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    def identity(self, default: Limits) -> Identity:
        rate = default.rate if self.rate is None else self.rate
        burst = self.burst or (default.burst if self.rate is None else max(1.0, self.rate))
        concurrency = default.concurrency if self.concurrency is None else self.concurrency
        return Identity(
            self.name,
            self.roles,
            None if self.accounts == "all" else frozenset(self.accounts),
            self.owners,
            Limits(rate, burst, concurrency),
        )


class _File(_Strict):
    identities: tuple[_Entry, ...]


def read_identities(path: Path, default: Limits) -> Identities:
    """Read the file. `default`: the limits of whoever has none of its own there.

    Raises FileUnusable, with one line that names the place and never a value.
    """
    try:
        content = yaml.safe_load(read_file(path, VARIABLE))
        entries = _File.model_validate(content).identities
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise FileUnusable(f"{VARIABLE}: {path}{line}: is no YAML") from None
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, problem["loc"])) or "the file"
        raise FileUnusable(f"{VARIABLE}: {path}: {place}: {problem['msg']}") from None
    return _identities(path, entries, default)


def _identities(path: Path, entries: Iterable[_Entry], default: Limits) -> Identities:
    tokens: dict[str, ServiceToken] = {}
    certificates: dict[str, Identity] = {}
    subjects: dict[str, Identity] = {}
    names: dict[str, Identity] = {}
    for at, entry in enumerate(entries):
        identity = entry.identity(default)
        found = [
            ("name", _added(names, [(entry.name, identity)])),
            (
                "tokens",
                _added(tokens, [(each.sha256, _token(each, identity)) for each in entry.tokens]),
            ),
            (
                "certificates",
                _added(certificates, [(each, identity) for each in entry.certificates]),
            ),
            ("subjects", _added(subjects, [(each, identity) for each in entry.subjects])),
        ]
        for place, fresh in found:
            if not fresh:
                raise FileUnusable(
                    f"{VARIABLE}: {path}: identities.{at}.{place}: stands in the file twice"
                )
    return Identities(tuple(tokens.values()), certificates, subjects)


def _added(known: dict[str, Any], new: Iterable[tuple[str, Any]]) -> bool:
    """Add what is not known; False where something is."""
    for key, value in new:
        if key in known:
            return False
        known[key] = value
    return True


def _token(token: _Token, identity: Identity) -> ServiceToken:
    expires = token.expires
    if expires is not None and not isinstance(expires, datetime):
        expires = datetime.combine(expires, time())
    if expires is not None and expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    return ServiceToken(bytes.fromhex(token.sha256), identity, expires)
