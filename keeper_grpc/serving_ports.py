"""The ports that a server listens on, and IPv6 kept off those that nobody asked for."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from keeper_grpc.composition.access import Access
from keeper_grpc.listening import EVERY_IPV4
from keeper_grpc.rpc.server import Ports
from keeper_grpc.settings import Settings
from keeper_grpc.workers.place import Worker
from keeper_grpc.workers.port import PortUnusable


def address_of(host: str, port: int) -> str:
    """Host and port as gRPC takes them: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def closed_to_ipv6(host: str, port: int) -> Iterator[int]:
    """The port to listen on, which IPv6 is kept off if the host is every address of IPv4.

    gRPC takes 0.0.0.0 for every address there is, and opens one socket for both protocols. It falls back to IPv4 alone
    where the port is taken in IPv6, so this takes it, and does not listen: connections are refused.

    Raises PortUnusable where somebody else has the port in IPv6.
    """
    if host != EVERY_IPV4:
        yield port
        return
    try:
        holder = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    except OSError:
        # No IPv6 in this kernel.
        yield port
        return
    with holder:
        holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            holder.bind(("::", port))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise PortUnusable("KEEPER_HOST or KEEPER_PORT") from error
            # No IPv6 in this network namespace.
            yield port
            return
        yield holder.getsockname()[1]


@contextmanager
def ports(settings: Settings, access: Access, worker: Worker | None) -> Iterator[Ports]:
    """Where to listen. Workers share the ports that their parent holds. Raises PortUnusable."""
    with ExitStack() as stack:

        def place(host: str, port: int) -> str:
            if worker is None:
                port = stack.enter_context(closed_to_ipv6(host, port))
            return address_of(host, port)

        admin = place(*settings.admin_address) if settings.admin_address else None
        yield Ports(
            place(settings.host.strip("[]"), settings.port),
            admin,
            access.credentials,
            shared=worker is not None,
        )
