"""A file of identities for every role and every scope, and their tokens."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from keeper_grpc.domain.access.identity import Role

MINE, OURS, THEIRS = "acct-mine", "acct-ours", "acct-theirs"
"""Accounts: in the list of some identities; of the owner CHAIN; of another owner."""

CHAIN, RIVAL = "owner-chain", "owner-rival"

SCOPES: dict[str, dict[str, Any]] = {
    "all": {"accounts": "all"},
    "listed": {"accounts": [MINE]},
    "owner": {"owners": [CHAIN]},
    "nobody": {},
}


def token_of(name: str) -> str:
    """The token of an identity, by its name."""
    return f"token-of-{name}"


def bearing(name: str) -> tuple[tuple[str, str]]:
    """The metadata of a call with that token."""
    return (("authorization", f"Bearer {token_of(name)}"),)


def entry(name: str, *roles: str, token: str | None = None, **fields: Any) -> dict[str, Any]:
    """An identity as the file has it."""
    digest = hashlib.sha256((token or token_of(name)).encode()).hexdigest()
    return {"name": name, "roles": list(roles), "tokens": [{"sha256": digest}], **fields}


def write(path: Path, *entries: dict[str, Any]) -> Path:
    """The file."""
    path.write_text(yaml.safe_dump({"identities": list(entries)}))
    return path


@dataclass(frozen=True)
class Who:
    """An identity of the matrix."""

    role: Role
    scope: str

    @property
    def name(self) -> str:
        """Its name in the file."""
        return f"{self.role.value}-{self.scope}"


EVERYONE = [Who(role, scope) for role in Role for scope in SCOPES]


def matrix(path: Path) -> Path:
    """A file with everyone, and `root`, which has every role for every account."""
    return write(
        path,
        entry("root", *(role.value for role in Role), accounts="all"),
        *(entry(who.name, who.role.value, **SCOPES[who.scope]) for who in EVERYONE),
    )
