"""The TLS that a DSN asks for, checked before anything connects."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from keeper_grpc.storage.connections.unfit import ParameterUnfit

_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_AUTHORITY = (
    "sslrootcert=/path/to/authority.pem, or sslrootcert=system for those that this machine trusts"
)


def tls_of(parameters: Mapping[str, str]) -> ssl.SSLContext | None:
    """What the driver cannot make of the parameters itself, None where it can.

    Raises ParameterUnfit for a mode that nobody knows, and for certificates that are missing or cannot be read. The
    driver's own errors come after a wait for the server, and say less.
    """
    mode = _of(parameters, "sslmode")
    if mode is not None and mode not in _MODES:
        raise ParameterUnfit("sslmode", f"is one of {', '.join(_MODES)}")
    authority = _of(parameters, "sslrootcert")
    if authority == "system":
        # libpq's rule: authorities that everybody trusts prove nothing unless the name is checked as well.
        if mode not in (None, "verify-full"):
            raise ParameterUnfit("sslrootcert=system", "needs sslmode=verify-full")
        return _trusting_the_system(parameters)
    if mode in ("verify-ca", "verify-full") and authority is None and not _has_own_authority():
        raise ParameterUnfit(
            f"sslmode={mode}", f"needs the certificate of the server's authority: add {_AUTHORITY}"
        )
    if authority is not None and mode in ("require", "verify-ca", "verify-full"):
        _load_authority(authority)
    _load_own(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), parameters)
    return None


def _of(parameters: Mapping[str, str], name: str) -> str | None:
    """A parameter, or what libpq's environment variable has in its place."""
    return parameters.get(name) or os.environ.get(f"PG{name.upper()}") or None


def _has_own_authority() -> bool:
    try:
        return (Path.home() / ".postgresql" / "root.crt").exists()
    except RuntimeError:  # a user without a home
        return False


def _trusting_the_system(parameters: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])  # PostgreSQL 17 wants it of direct TLS
    _load_own(context, parameters)
    return context


def _load_authority(file: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except OSError as error:
        raise ParameterUnfit(
            "sslrootcert", f"names {file}, which {_what_is_wrong(error)}: write {_AUTHORITY}"
        ) from None


def _load_own(context: ssl.SSLContext, parameters: Mapping[str, str]) -> None:
    """The certificate that this side shows, if it has one."""
    certificate = _of(parameters, "sslcert")
    if certificate is None:
        return
    key = _of(parameters, "sslkey")
    try:
        context.load_cert_chain(certificate, key, parameters.get("sslpassword", ""))
    except OSError as error:
        raise ParameterUnfit(
            "sslcert and sslkey",
            f"name {certificate} and {key or certificate}, of which one {_what_is_wrong(error)}",
        ) from None


def _what_is_wrong(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "holds no certificate or key that fits"
    return f"cannot be read ({error.strerror})"
