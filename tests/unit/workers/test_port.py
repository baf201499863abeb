"""The port of several workers: theirs together, and nobody else's."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from keeper_grpc.workers.port import PortUnusable, held_port


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server of somebody else's, which would share its port."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        yield other


def test_workers_share_the_port_that_is_held() -> None:
    """Two listeners with SO_REUSEPORT get it, one without does not."""
    with held_port("127.0.0.1", 0) as port:
        assert port
        with socket.socket() as one, socket.socket() as two:
            for worker in (one, two):
                worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                worker.bind(("127.0.0.1", port))
                worker.listen(1)
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", port))


def test_a_port_that_somebody_has_is_refused(listener: socket.socket) -> None:
    """Also where that server would share it: half of its connections would be ours."""
    with (
        pytest.raises(PortUnusable, match="the address is taken"),
        held_port("127.0.0.1", listener.getsockname()[1]),
    ):
        pass


def test_an_address_of_another_machine_is_refused() -> None:
    """As a port that is taken."""
    with pytest.raises(PortUnusable), held_port("192.0.2.1", 0):
        pass


def test_every_address_of_a_name_is_held() -> None:
    """`localhost` may be two addresses, which then have one port."""
    with held_port("localhost", 0) as port:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            "localhost", port, type=socket.SOCK_STREAM
        ):
            with socket.socket(family, kind, protocol) as other, pytest.raises(OSError):  # noqa: PT011 - either says that it is in use
                other.bind(address)
