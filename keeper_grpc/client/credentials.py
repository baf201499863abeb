"""With what a client connects: TLS, a certificate of its own, a token."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc

TOKEN, TOKEN_FILE = "KEEPER_TOKEN", "KEEPER_TOKEN_FILE"


class CredentialsUnusable(Exception):
    """A file cannot be read, or a token would travel where anybody could read it. Never holds a secret."""


class TokenFile:
    """A token in a file, read again whenever the file changes: tokens are renewed while a client runs.

    A file that cannot be read for a moment leaves the former token in use. Raises CredentialsUnusable for the first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: tuple[int, int, int] | None = None
        self._token = ""
        try:
            self._follow()
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialsUnusable(f"cannot read the token in {path}: {_why(error)}") from None
        if not self._token:
            raise CredentialsUnusable(f"there is no token in {path}")

    def __call__(self) -> str:
        """The token, without the line break that it may end with."""
        try:
            self._follow()
        except (OSError, UnicodeDecodeError):
            return self._token
        return self._token

    def _follow(self) -> None:
        found = self._path.stat()
        mark = (found.st_mtime_ns, found.st_ino, found.st_size)
        if mark != self._mark:
            token = self._path.read_text(encoding="ascii").strip()
            self._mark = mark
            # Whoever renews it may have emptied the file first.
            self._token = token or self._token


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to connect.

    tls: with the system's authorities, or those in `ca`; without it the connection is in clear text, for servers on
    this machine. certificate, key: of this client, in PEM, where the server asks for one. token: returns the bearer
    token of a call.
    """

    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    token: Callable[[], str] | None = None

    @property
    def secure(self) -> bool:
        """Whether the connection is TLS: a file that only TLS needs asks for it."""
        return self.tls or self.ca is not None or self.certificate is not None

    def channel(self, target: str) -> grpc.ChannelCredentials | None:
        """GRPC's credentials for a connection to `target`; None for one in clear text. Raises CredentialsUnusable."""
        if (self.certificate is None) != (self.key is None):
            raise CredentialsUnusable("a client certificate and its key are given together")
        if self.secure:
            return grpc.ssl_channel_credentials(
                _read(self.ca), _read(self.key), _read(self.certificate)
            )
        if self.token is not None and not is_this_machine(target):
            raise CredentialsUnusable(
                "a token is sent over TLS only, but to this machine: give --tls, or --tls-ca FILE"
            )
        return None


def carries_tokens(target: str, credentials: Credentials | grpc.ChannelCredentials | None) -> bool:
    """Whether a token may travel so: over TLS, or without leaving this machine."""
    secure = credentials.secure if isinstance(credentials, Credentials) else credentials is not None
    return secure or is_this_machine(target)


def authorization(token: str) -> tuple[str, str]:
    """The metadata that carry a token (RFC 6750)."""
    return "authorization", f"Bearer {token}"


def token_of(environ: Mapping[str, str], file: Path | None = None) -> Callable[[], str] | None:
    """Where the token comes from: the file, or the variables KEEPER_TOKEN_FILE or KEEPER_TOKEN; None without any.

    Raises CredentialsUnusable.
    """
    if file is None and environ.get(TOKEN_FILE):
        file = Path(environ[TOKEN_FILE])
    if file is not None:
        return TokenFile(file)
    token = environ.get(TOKEN, "").strip()
    if not token:
        return None
    if not (token.isascii() and token.isprintable()):
        raise CredentialsUnusable(f"{TOKEN} holds no token")
    return lambda: token


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsUnusable(f"cannot read {path}: {_why(error)}") from None


def _why(error: Exception) -> str:
    return error.strerror or "" if isinstance(error, OSError) else "it is not ASCII"


def is_this_machine(target: str) -> bool:
    """Whether a target of gRPC's (`host:port`, `dns:///host:port`, `unix:path`) cannot be anybody else's."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    host = target.rpartition("/")[2].rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
