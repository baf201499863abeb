"""How a command on the server's machine trusts the server that has its own settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
from cryptography import x509

from keeper_grpc.client.credentials import Credentials, CredentialsUnusable
from keeper_grpc.client.proxies import direct_to_this_machine
from keeper_grpc.connecting import CannotConnect
from keeper_grpc.settings import Settings


@dataclass(frozen=True, slots=True)
class Way:
    """gRPC's credentials, None for clear text, and the options of a channel."""

    credentials: grpc.ChannelCredentials | None
    options: Sequence[tuple[str, str | int]]


def way_to(address: str, given: Credentials) -> Way:
    """As a client connects that knows nothing of the server. Raises CredentialsUnusable."""
    return Way(given.channel(address), direct_to_this_machine(address))


def way_to_own_server(settings: Settings, given: Credentials, address: str) -> Way:
    """By the certificate of the settings, under its own name, unless authorities are `given`.

    Where the server asks clients for a certificate, `given` must have one. Raises CannotConnect.
    """
    certificate = settings.tls_certificate
    try:
        if certificate is None or given.tls or given.ca is not None:
            return way_to(address, given)
        way = way_to(address, replace(given, ca=certificate))
        name = ("grpc.ssl_target_name_override", _name_of(certificate))
        return Way(way.credentials, (*way.options, name))
    except CredentialsUnusable as error:
        raise CannotConnect(str(error)) from None


def _name_of(certificate: Path) -> str:
    """A name that the certificate is for."""
    try:
        leaf, *_ = x509.load_pem_x509_certificates(certificate.read_bytes())
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        raise CannotConnect(
            "KEEPER_TLS_CERTIFICATE cannot be read, or names no server: give --target and --tls-ca"
        ) from None
    addresses = map(str, found.get_values_for_type(x509.IPAddress))
    return next(iter([*found.get_values_for_type(x509.DNSName), *addresses]), "localhost")
