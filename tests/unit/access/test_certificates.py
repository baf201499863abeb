"""The server's certificate: what stops a start, and what leaves the former one in use."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from keeper_grpc.access.certificates import Files, ServerTls, read_pair
from keeper_grpc.access.watched_file import FileUnusable
from tests.access.certificates import Authority

CA = Authority("tests")
GOOD, OTHER = CA.server(), CA.server()
EXPIRED = CA.issue("old", "localhost", valid=timedelta(days=-1))
ENCRYPTED = CA.issue("locked", "localhost", password=b"hunter2")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A good pair, and an authority of clients."""
    ca = tmp_path / "ca.pem"
    ca.write_bytes(CA.certificate)
    return Files(*GOOD.write(tmp_path, "server"), ca)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda f: f.certificate.unlink(), "KEEPER_TLS_CERTIFICATE: cannot read"),
        (lambda f: f.key.unlink(), "KEEPER_TLS_KEY: cannot read"),
        (lambda f: f.client_ca.unlink(), "KEEPER_TLS_CLIENT_CA: cannot read"),
        (lambda f: f.certificate.write_bytes(b"x"), "holds no certificate in PEM"),
        (lambda f: f.certificate.write_bytes(GOOD.key), "holds no certificate in PEM"),
        (lambda f: f.key.write_bytes(GOOD.certificate), "holds no private key in PEM"),
        (lambda f: f.key.write_bytes(OTHER.key), "is not the key of"),
        (lambda f: f.client_ca.write_bytes(b""), "KEEPER_TLS_CLIENT_CA: "),
        (
            lambda f: (
                f.certificate.write_bytes(EXPIRED.certificate),
                f.key.write_bytes(EXPIRED.key),
            ),
            "has expired",
        ),
        (
            lambda f: (
                f.certificate.write_bytes(ENCRYPTED.certificate),
                f.key.write_bytes(ENCRYPTED.key),
            ),
            "is encrypted",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(
    files: Files, spoil: Callable[[Files], object], line: str
) -> None:
    """That names the setting and the file."""
    spoil(files)
    with pytest.raises(FileUnusable) as caught:
        read_pair(files)
    assert line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_pair_is_exchanged_when_both_files_fit(files: Files) -> None:
    """Between the two writes, and after a bad one, the former pair is in use."""
    tls = ServerTls(files)
    _renewed(files.certificate, OTHER.certificate)
    assert not tls.look()
    assert tls.version == 0
    _renewed(files.key, OTHER.key)
    assert tls.look()
    _renewed(files.certificate, b"nonsense")
    assert not tls.look()
    assert tls.version == 1


def _renewed(path: Path, content: bytes) -> None:
    before = path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=(before + 10**9, before + 10**9))
