"""`keeper tokens hash`: the entry of a token, which is never shown."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from keeper_grpc.cli import main


def test_a_new_token_is_in_its_file_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Readable by its owner; what is printed is its hash."""
    path = tmp_path / "token"
    assert main(["tokens", "hash", "--new", str(path)]) == 0
    token = path.read_text().strip()
    assert len(token) > 40
    assert path.stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr().out == f"- sha256: {hashlib.sha256(token.encode()).hexdigest()}\n"


def test_a_token_that_is_there_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody may be using it."""
    path = tmp_path / "token"
    path.write_text("in use")
    assert main(["tokens", "hash", "--new", str(path)]) == 1
    assert path.read_text() == "in use"
    assert "File exists" in capsys.readouterr().err


def test_a_token_is_read_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its line break."""
    token = "of-somebody-elses-making"
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{token}\n"))
    assert main(["tokens", "hash"]) == 0
    assert hashlib.sha256(token.encode()).hexdigest() in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "\n", "hunter2\n", "two words of some length\n"])
def test_a_password_is_no_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """Its hash could be guessed, and it is not repeated."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["tokens", "hash"]) == 1
    shown = capsys.readouterr()
    assert not shown.out
    assert "hunter2" not in shown.err
