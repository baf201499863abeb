"""The port that the workers share, held by their parent."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from keeper_grpc.operator_error import OperatorError


class PortUnusable(OperatorError):
    """The address is taken, or is not this machine's. `settings` say where it comes from."""

    def __init__(self, settings: str) -> None:
        super().__init__(
            f"cannot listen: the address is taken, or is not this machine's: set {settings}"
        )


@contextmanager
def held_port(host: str, port: int, settings: str = "KEEPER_HOST or KEEPER_PORT") -> Iterator[int]:
    """Bind the port without listening, so that workers may share it and nobody else gets it; 0 picks a free one.

    Sockets with SO_REUSEPORT share a port only with each other, so a first socket without it finds out whether any
    process has the port: two servers on one port would each get half of the connections.

    Raises PortUnusable.
    """
    with ExitStack() as stack:
        try:
            places = socket.getaddrinfo(
                host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            for family, _, _, _, address in places:
                with _bound(family, (address[0], port), shared=False) as alone:
                    port = alone.getsockname()[1]
                stack.enter_context(_bound(family, (address[0], port), shared=True))
        except OSError as error:
            raise PortUnusable(settings) from error
        yield port


def _bound(family: int, address: tuple[object, int], *, shared: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        # As gRPC does: connections that are being closed do not hold the port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(address)
        if not shared:
            # Only a listener tells whether a listener with SO_REUSEADDR is there.
            bound.listen(1)
    except OSError as error:
        bound.close()
        if error.errno == errno.EAFNOSUPPORT:
            raise OSError(error.errno, "no such address family") from error
        raise
    return bound
