"""Settings of access that do not go together end a start with one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keeper_grpc.access.watched_file import FileUnusable
from keeper_grpc.composition.guarded_access import GuardedAccess, check_access
from keeper_grpc.settings import Settings, SettingsInvalid
from tests.access.certificates import Authority
from tests.access.provider import Signer, key_set

JWT = {"jwt_issuer": "https://login.example.test/", "jwt_audience": "keeper"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Files that are good."""
    authority = Authority("tests")
    authority.server().write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    (tmp_path / "keys.json").write_bytes(key_set(Signer("one")))
    (tmp_path / "identities.yaml").write_text("identities: []")
    return tmp_path


@pytest.mark.parametrize(
    ("chosen", "line"),
    [
        ({"tls_certificate": "server.pem"}, "KEEPER_TLS_KEY: required"),
        ({"tls_key": "server.key"}, "KEEPER_TLS_CERTIFICATE: required"),
        ({"tls_client_ca": "ca.pem"}, "KEEPER_TLS_CLIENT_CA: needs KEEPER_TLS_CERTIFICATE"),
        (
            {"tls_client_ca": "ca.pem", "tls_certificate": "server.pem", "tls_key": "server.key"},
            "KEEPER_TLS_CLIENT_CA: needs KEEPER_IDENTITIES_FILE",
        ),
        ({"jwt_keys": "keys.json", "jwt_audience": "keeper"}, "KEEPER_JWT_ISSUER: required"),
        ({"jwt_keys": "keys.json", "jwt_issuer": "x"}, "KEEPER_JWT_AUDIENCE: required"),
        ({"jwt_keys": "keys.json", **JWT, "jwt_audience": ","}, "KEEPER_JWT_AUDIENCE: must not be"),
        (
            {"jwt_keys": "keys.json", **JWT, "jwt_algorithms": "RS256,HS256"},
            "KEEPER_JWT_ALGORITHMS: must be of",
        ),
        ({"jwt_keys": "keys.json", **JWT, "jwt_algorithms": "none"}, "KEEPER_JWT_ALGORITHMS: "),
        (
            {"jwt_keys": "keys.json", **JWT, "jwt_algorithms": "RS256"},
            "has no key for any of RS256",
        ),
        ({"jwt_keys": "http://login.example.test/keys", **JWT}, "begins with https://"),
        ({"jwt_keys": "file:///etc/passwd", **JWT}, "begins with https://"),
        ({"jwt_keys": "https://", **JWT}, "begins with https://"),
        ({"jwt_keys": "http://[::1", **JWT}, "KEEPER_JWT_KEYS: is no address"),
        ({"jwt_keys": "none.json", **JWT}, "KEEPER_JWT_KEYS: cannot read"),
        ({"identities_file": "none.yaml"}, "KEEPER_IDENTITIES_FILE: cannot read"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    directory: Path, chosen: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a database is started."""
    monkeypatch.chdir(directory)
    with pytest.raises((SettingsInvalid, FileUnusable)) as caught:
        check_access(Settings(**chosen))  # type: ignore[arg-type]  # as the environment gives them
    assert line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "chosen",
    [
        {"tls_certificate": "server.pem", "tls_key": "server.key"},
        {"jwt_keys": "keys.json", **JWT},
        {"jwt_keys": "http://127.0.0.1:1/keys", **JWT},
        {"jwt_keys": "https://login.example.test/keys", **JWT},
        {
            "tls_certificate": "server.pem",
            "tls_key": "server.key",
            "tls_client_ca": "ca.pem",
            "identities_file": "identities.yaml",
        },
    ],
)
def test_what_goes_together_starts(
    directory: Path, chosen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the provider does not answer: it may do so later."""
    monkeypatch.chdir(directory)
    check_access(Settings(**chosen))
    access = GuardedAccess(Settings(**chosen))
    assert (access.authenticator is None) == (set(chosen) == {"tls_certificate", "tls_key"})
    assert (access.certificate_expires is None) == ("tls_certificate" not in chosen)
