"""Where a server may listen: not beyond this machine without knowing who calls, and on no protocol that nobody named."""

from __future__ import annotations

import ipaddress
import socket

import structlog

from keeper_grpc.settings import Settings, SettingsInvalid

log = structlog.get_logger()

EVERY_IPV4 = "0.0.0.0"  # noqa: S104 - compared with, not listened on


def authenticates(settings: Settings) -> bool:
    """Whether callers have to say who they are."""
    return settings.identities_file is not None or settings.jwt_keys is not None


def is_guarded(settings: Settings) -> bool:
    """Whether callers have to say who they are, or a setting of TLS is there, alone as it may be."""
    return authenticates(settings) or any(
        (settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_listening(settings: Settings) -> None:
    """Raise SettingsInvalid where strangers could call everything."""
    places = [("KEEPER_HOST", settings.host)]
    if settings.admin_address is not None:
        places.append(("KEEPER_ADMIN_ADDRESS", settings.admin_address[0]))
    if settings.http_address is not None:
        places.append(("KEEPER_HTTP_ADDRESS", settings.http_address[0]))
    if authenticates(settings) or settings.allow_unauthenticated:
        return
    for variable, host in places:
        if not is_loopback(host):
            raise SettingsInvalid(
                f"{variable}: others than this machine reach it, and nobody has to say who calls: set "
                "KEEPER_IDENTITIES_FILE or KEEPER_JWT_KEYS (docs/security.md), or "
                "KEEPER_ALLOW_UNAUTHENTICATED=true where everyone who reaches it may call everything"
            )


def warn_of_shared_ipv6(host: str) -> None:
    """Say that workers open IPv6 as well where every address of IPv4 was asked for: see `closed_to_ipv6`, which works for
    one process only. Among sockets that share a port the kernel lets gRPC's through.
    """
    if host == EVERY_IPV4 and _has_ipv6():
        log.warning("listening_on_ipv6_too", settings="KEEPER_HOST, KEEPER_WORKERS")


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
