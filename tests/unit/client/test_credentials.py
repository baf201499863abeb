"""With what a client connects, and what it refuses to send in clear text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keeper_grpc.client import Credentials, CredentialsUnusable, TokenFile
from keeper_grpc.client.credentials import token_of

TOKEN = "keeper_of-a-test"


def written(path: Path, text: str) -> Path:
    """A file whose modification time differs from before."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))
    return path


def test_a_token_file_is_followed(tmp_path: Path) -> None:
    """Through an empty file and a missing one."""
    path = written(tmp_path / "token", f"{TOKEN}\n")
    token = TokenFile(path)
    assert token() == TOKEN
    written(path, "")
    assert token() == TOKEN
    path.unlink()
    assert token() == TOKEN
    written(path, "another")
    assert token() == "another"


@pytest.mark.parametrize("content", [None, "", "\n", "t\u00f6ken"])
def test_a_file_without_a_token_is_refused_at_once(tmp_path: Path, content: str | None) -> None:
    """And not at the first call; the file is named, its content is not."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CredentialsUnusable, match="token") as caught:
        TokenFile(path)
    assert "ken\n" not in str(caught.value)


def test_the_token_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    """The option before the variables, and the file's before the token's."""
    first, second = written(tmp_path / "1", "first"), written(tmp_path / "2", "second")
    environment = {"KEEPER_TOKEN": "third\n", "KEEPER_TOKEN_FILE": str(second)}
    for file, variables, expected in (
        (first, environment, "first"),
        (None, environment, "second"),
        (None, {"KEEPER_TOKEN": "third\n"}, "third"),
    ):
        found = token_of(variables, file)
        assert found is not None
        assert found() == expected
    assert token_of({}) is None
    with pytest.raises(CredentialsUnusable):
        token_of({"KEEPER_TOKEN": "two\nlines"})


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:50051",
        "[::1]:50051",
        "localhost:50051",
        "unix:/run/keeper.sock",
        "dns:///localhost:1",
    ],
)
def test_a_token_goes_to_this_machine_in_clear_text(target: str) -> None:
    """Nobody else reads it."""
    assert Credentials(token=lambda: TOKEN).channel(target) is None


@pytest.mark.parametrize(
    "target",
    [
        "keeper.internal:50051",
        "192.0.2.1:50051",
        "dns:///keeper:50051",
        "localhost.evil.test:1",
        "ipv4:192.0.2.1:1",
    ],
)
def test_a_token_goes_elsewhere_over_tls_only(target: str) -> None:
    """Without one there is nothing to lose."""
    with pytest.raises(CredentialsUnusable, match="--tls"):
        Credentials(token=lambda: TOKEN).channel(target)
    assert Credentials(token=lambda: TOKEN, tls=True).channel(target) is not None
    assert Credentials().channel(target) is None


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    """A certificate needs its key."""
    with pytest.raises(CredentialsUnusable, match="together"):
        Credentials(certificate=tmp_path / "c.pem").channel("localhost:1")
    with pytest.raises(CredentialsUnusable, match="cannot read"):
        Credentials(ca=tmp_path / "none.pem").channel("localhost:1")
