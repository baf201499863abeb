"""The file of identities: what it says, and the line that says what is wrong in it."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keeper_grpc.access.authenticator import Authenticator
from keeper_grpc.access.identities_file import Identities, read_identities
from keeper_grpc.access.watched_file import FileUnusable, WatchedFile
from keeper_grpc.domain.access.identity import Identity, Role
from keeper_grpc.domain.access.limits import UNLIMITED, Limits
from keeper_grpc.domain.access.peer import PeerNames
from keeper_grpc.domain.errors import (
    CertificateUnknown,
    CredentialsMissing,
    TokenExpired,
    TokenInvalid,
)

SECRET = "hunter2-never-to-be-shown"


def digest(token: str) -> str:
    """As `keeper tokens hash` prints it."""
    return hashlib.sha256(token.encode()).hexdigest()


def written(path: Path, text: str) -> Path:
    """The file, with another modification time than before."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))
    return path


ONE = f"""
identities:
  - name: engine
    roles: [enhance, capture]
    accounts: [a-1, "b 2"]
    owners: [chain]
    tokens:
      - sha256: {digest("first")}
      - sha256: {digest("second")}
        expires: 2020-01-01
    certificates: ["engine.internal", "spiffe://keeper/engine"]
    rate: 5
  - name: operator
    roles: [operate]
    accounts: all
    certificates: [ops]
    concurrency: 2
"""


def authenticator(path: Path, default: Limits = UNLIMITED) -> Authenticator:
    """By the file alone."""
    file = WatchedFile([path], lambda: read_identities(path, default))
    return Authenticator(identities=file, jwt=None, keys=None, certificates=True)


def by_token(who: Authenticator, *headers: str) -> Identity:
    """The identity of these headers."""
    found = who.authenticate(headers, PeerNames)
    assert isinstance(found, Identity)
    return found


def by_certificate(
    who: Authenticator, alternative: tuple[str, ...], common: tuple[str, ...] = ()
) -> Identity:
    """The identity of a certificate."""
    found = who.authenticate([], lambda: PeerNames(alternative, common))
    assert isinstance(found, Identity)
    return found


def test_a_token_finds_its_entry(tmp_path: Path) -> None:
    """With its roles, its accounts in their one form, and limits of its own or the default ones."""
    who = authenticator(written(tmp_path / "ids.yaml", ONE), Limits(2.0, 2.0, 7))
    assert by_token(who, "Bearer first") == Identity(
        "engine",
        frozenset({Role.ENHANCE, Role.CAPTURE}),
        frozenset({"a-1", "b 2"}),
        frozenset({"chain"}),
        Limits(5.0, 5.0, 7),
    )
    assert by_token(who, "bearer  first").name == "engine"
    operator = by_certificate(who, (), ("ops",))
    assert operator.speaks_for_all
    assert operator.limits == Limits(2.0, 2.0, 2)


@pytest.mark.parametrize(
    "headers",
    [
        ["Bearer unknown"],
        ["Bearer"],
        ["Bearer "],
        ["Basic Zmlyc3Q="],
        ["first"],
        [f"Bearer {digest('first')}"],
        ["Bearer first", "Bearer first"],
    ],
)
def test_what_is_no_token_of_the_file_is_refused(tmp_path: Path, headers: list[str]) -> None:
    """Its hash is none, and neither are two headers."""
    who = authenticator(written(tmp_path / "ids.yaml", ONE))
    with pytest.raises(TokenInvalid):
        by_token(who, *headers)


def test_an_expired_token_is_refused(tmp_path: Path) -> None:
    """From the day that its entry names."""
    with pytest.raises(TokenExpired):
        by_token(authenticator(written(tmp_path / "ids.yaml", ONE)), "Bearer second")


def test_a_certificate_is_found_by_its_alternative_names_first(tmp_path: Path) -> None:
    """The common name is for certificates that have no other."""
    who = authenticator(written(tmp_path / "ids.yaml", ONE))
    assert by_certificate(who, ("x.internal", "spiffe://keeper/engine")).name == "engine"
    with pytest.raises(CertificateUnknown):
        by_certificate(who, ("x.internal",), ("ops",))
    with pytest.raises(CertificateUnknown):
        by_certificate(who, ("engine.internal", "ops"))
    with pytest.raises(CredentialsMissing):
        by_certificate(who, ())


def test_who_was_authenticated_is_recognized(tmp_path: Path) -> None:
    """A token from its first call on, until the file changes; a certificate at once; others never."""
    path = written(tmp_path / "ids.yaml", ONE)
    file: WatchedFile[Identities] = WatchedFile([path], lambda: read_identities(path, UNLIMITED))
    who = Authenticator(identities=file, jwt=None, keys=None, certificates=True)

    def recognized(*headers: str, name: str = "") -> Identity | None:
        return who.recognized(headers, lambda: PeerNames((name,) if name else ()))

    assert recognized("Bearer first") is None
    engine = by_token(who, "Bearer first")
    assert recognized("Bearer first") == engine
    assert recognized(name="engine.internal") == engine
    for headers in (["Bearer first", "Bearer first"], ["Basic first"], ["Bearer unknown"], []):
        assert recognized(*headers) is None
    assert recognized(name="x.internal") is None
    assert recognized("Bearer unknown", name="engine.internal") is None
    written(path, ONE.replace(digest("first"), digest("third")))
    assert file.look()
    assert recognized("Bearer first") is None


def test_the_file_is_followed(tmp_path: Path) -> None:
    """A token that is taken out is refused from the next look on, also one that was used before."""
    path = written(tmp_path / "ids.yaml", ONE)
    file: WatchedFile[Identities] = WatchedFile([path], lambda: read_identities(path, UNLIMITED))
    who = Authenticator(identities=file, jwt=None, keys=None, certificates=False)
    assert by_token(who, "Bearer first").name == "engine"
    written(path, ONE.replace(digest("first"), digest("third")))
    assert file.look()
    assert by_token(who, "Bearer third").name == "engine"
    with pytest.raises(TokenInvalid):
        by_token(who, "Bearer first")


def test_a_bad_new_version_leaves_the_former_one(tmp_path: Path) -> None:
    """And so does a file that is away for a moment."""
    path = written(tmp_path / "ids.yaml", ONE)
    file: WatchedFile[Identities] = WatchedFile([path], lambda: read_identities(path, UNLIMITED))
    former = file.current
    written(path, "identities: [")
    assert not file.look()
    assert not file.look()
    path.unlink()
    assert not file.look()
    assert file.current is former
    written(path, ONE)
    assert file.look()


def entry(**changes: str) -> str:
    """A file with one entry."""
    lines = {"name": "engine", "roles": "[enhance]"} | changes
    return "identities:\n  - " + "\n    ".join(f"{name}: {value}" for name, value in lines.items())


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (entry(roles=f"[{SECRET}]"), "identities.0.roles"),
        (entry(name=f"'jwt:{SECRET}'"), "identities.0.name"),
        (entry(name="unauthenticated"), "identities.0.name"),
        (entry(accounts=f"[' {SECRET}']"), "identities.0.accounts"),
        (entry(accounts="everything"), "identities.0.accounts"),
        (entry(owners="all"), "identities.0.owners"),
        (entry(tokens=f"[{{sha256: {SECRET}}}]"), "identities.0.tokens.0.sha256"),
        (entry(tokens=f"[{SECRET}]"), "identities.0.tokens.0"),
        (entry(token=SECRET), "identities.0.token"),
        (entry(rate="0"), "identities.0.rate"),
        (entry(concurrency="0.5"), "identities.0.concurrency"),
        (f"{entry()}\n  - {{name: engine, roles: [observe]}}", "identities.1.name"),
        (
            entry(tokens=f"[{{sha256: {'a' * 64}}}, {{sha256: {'a' * 64}}}]"),
            "identities.0.tokens",
        ),
        ("identities: {", "line 1"),
        (f"- {SECRET}", "the file"),
        ("", "the file"),
        ("identities: !!python/object/apply:os.system ['true']", "is no YAML"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place(tmp_path: Path, text: str, place: str) -> None:
    """And never a value: it may be a token that somebody put there by mistake."""
    with pytest.raises(FileUnusable) as caught:
        read_identities(written(tmp_path / "ids.yaml", text), UNLIMITED)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("KEEPER_IDENTITIES_FILE: ")
    assert place in line
    assert SECRET not in line


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    """With the reason."""
    with pytest.raises(FileUnusable, match="No such file"):
        read_identities(tmp_path / "none.yaml", UNLIMITED)


def test_an_end_is_in_utc_unless_it_says_otherwise(tmp_path: Path) -> None:
    """A day begins at midnight."""
    (_, second) = read_identities(written(tmp_path / "ids.yaml", ONE), UNLIMITED).tokens
    assert second.expires == datetime(2020, 1, 1, tzinfo=UTC)
