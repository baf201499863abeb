"""Proxies that the environment names, as gRPC finds them: it asks one by CONNECT, for TLS and clear text alike."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from keeper_grpc.client.credentials import is_this_machine

# The first that is set decides, also when it is empty. In small letters only, unlike those of many programs.
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
_DIRECT = ("no_grpc_proxy", "no_proxy")


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy of a connection. variable: what names it; address: its host and port, without user and password."""

    variable: str
    address: str

    def __str__(self) -> str:
        return (
            f"through the proxy {self.address} of {self.variable}; "
            "no_proxy names the hosts that are reached without it"
        )


def proxy_of(target: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy on the way to a target of gRPC's, None where there is none."""
    variable = next((name for name in _PROXIES if name in environ), None)
    if variable is None or not environ[variable] or is_this_machine(target):
        return None
    address = urlsplit(environ[variable])
    if address.scheme != "http" or not address.hostname:
        return None  # gRPC leaves it out, with a line in its log
    host = target.rpartition("/")[2].rpartition(":")[0].strip("[]")
    direct = next((environ[name] for name in _DIRECT if name in environ), "")
    if any(_covers(entry.strip(), host) for entry in direct.split(",")):
        return None
    return Proxy(variable, address.netloc.rpartition("@")[2])


def direct_to_this_machine(target: str) -> tuple[tuple[str, int], ...]:
    """Options of a channel to `target`: no proxy reaches this machine's own addresses, or may read what is sent there."""
    return (("grpc.enable_http_proxy", 0),) if is_this_machine(target) else ()


def _covers(entry: str, host: str) -> bool:
    if not entry:
        return False
    if host.lower().endswith(entry.lower()):
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
