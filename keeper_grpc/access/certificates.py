"""The server's certificate and key, and the authority of its clients' certificates; read again when they change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from keeper_grpc.access.watched_file import FileUnusable, WatchedFile, read_file

CERTIFICATE, KEY, CLIENT_CA = "KEEPER_TLS_CERTIFICATE", "KEEPER_TLS_KEY", "KEEPER_TLS_CLIENT_CA"


@dataclass(frozen=True, slots=True)
class Files:
    """Where they are, in PEM. client_ca: None asks clients for no certificate."""

    certificate: Path
    key: Path
    client_ca: Path | None


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its chain, and its key, which belong together; and who signs the clients' certificates."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None
    expires: datetime


def read_pair(files: Files) -> Pair:
    """Read and check the files. Raises FileUnusable, in one line."""
    certificate = read_file(files.certificate, CERTIFICATE)
    key = read_file(files.key, KEY)
    leaf = _certificates(certificate, CERTIFICATE, files.certificate)[0]
    if leaf.not_valid_after_utc <= datetime.now(UTC):
        raise FileUnusable(f"{CERTIFICATE}: {files.certificate} has expired")
    if _public_key_of(key, files.key) != leaf.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ):
        raise FileUnusable(f"{KEY}: {files.key} is not the key of {files.certificate}")
    client_ca = None
    if files.client_ca is not None:
        client_ca = read_file(files.client_ca, CLIENT_CA)
        _certificates(client_ca, CLIENT_CA, files.client_ca)
    return Pair(certificate, key, client_ca, leaf.not_valid_after_utc)


class ServerTls:
    """The TLS of one server: every handshake gets the newest good files. Raises FileUnusable for the first ones."""

    def __init__(self, files: Files) -> None:
        self.files = files
        paths = [path for path in (files.certificate, files.key, files.client_ca) if path]
        self._files = WatchedFile(paths, lambda: read_pair(files))

    @property
    def expires(self) -> datetime:
        """When the certificate in use does."""
        return self._files.current.expires

    @property
    def version(self) -> int:
        """How many versions of the files were taken."""
        return self._files.version

    def look(self, *, anyway: bool = False) -> bool:
        """Read the files again where they have changed, or `anyway`."""
        return self._files.look(anyway=anyway)

    def credentials(self) -> grpc.ServerCredentials:
        """For one port."""
        given = self._files.version

        def newest() -> grpc.ServerCertificateConfiguration | None:
            # In a thread of gRPC's, at every handshake.
            nonlocal given
            self._files.look()
            if self._files.version == given:
                return None  # what gRPC has is the newest
            given = self._files.version
            return _configuration(self._files.current)

        first = self._files.current
        return grpc.dynamic_ssl_server_credentials(
            _configuration(first),
            newest,  # type: ignore[arg-type]  # its stubs do not know that None keeps what there is
            require_client_authentication=first.client_ca is not None,
        )


def _configuration(pair: Pair) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(pair.key, pair.certificate)], root_certificates=pair.client_ca
    )


def _certificates(content: bytes, variable: str, path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise FileUnusable(f"{variable}: {path} holds no certificate in PEM") from None


def _public_key_of(key: bytes, path: Path) -> bytes:
    try:
        private = load_pem_private_key(key, password=None)
    except TypeError:
        raise FileUnusable(
            f"{KEY}: {path} is encrypted: decrypt it, readable by this user only"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise FileUnusable(f"{KEY}: {path} holds no private key in PEM") from None
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
