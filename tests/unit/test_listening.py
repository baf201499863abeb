"""Where a server may listen, and on which protocol."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

import grpc
import pytest

from keeper_grpc.listening import EVERY_IPV4, check_listening, is_loopback
from keeper_grpc.serving_ports import address_of, closed_to_ipv6
from keeper_grpc.settings import Settings, SettingsInvalid
from keeper_grpc.workers.port import PortUnusable


def settings(**chosen: Any) -> Settings:
    """Settings that the environment does not change."""
    usual: dict[str, Any] = {"host": "127.0.0.1", "port": 50051}
    return Settings(**usual | chosen)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "[::1]", "localhost"])
def test_this_machine_alone_needs_no_authentication(host: str) -> None:
    """Whoever is on it could read the keys anyway."""
    assert is_loopback(host)
    check_listening(settings(host=host))


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"host": EVERY_IPV4}, "KEEPER_HOST"),
        ({"host": "::"}, "KEEPER_HOST"),
        ({"host": "192.0.2.1"}, "KEEPER_HOST"),
        ({"host": "keeper.internal"}, "KEEPER_HOST"),
        ({"host": "::ffff:192.0.2.1"}, "KEEPER_HOST"),
        ({"admin_address": (EVERY_IPV4, 50053)}, "KEEPER_ADMIN_ADDRESS"),
        ({"http_address": ("::", 8081)}, "KEEPER_HTTP_ADDRESS"),
    ],
)
def test_beyond_this_machine_somebody_has_to_decide(chosen: dict[str, Any], named: str) -> None:
    """By authentication, or by saying that everybody may call everything."""
    with pytest.raises(SettingsInvalid, match=f"^{named}: ") as caught:
        check_listening(settings(**chosen))
    assert len(str(caught.value).splitlines()) == 1
    check_listening(settings(allow_unauthenticated=True, **chosen))
    check_listening(settings(identities_file=Path("identities.yaml"), **chosen))
    check_listening(settings(jwt_keys="keys.json", **chosen))
    with pytest.raises(SettingsInvalid):
        check_listening(settings(tls_certificate=Path("server.pem"), **chosen))


@contextlib.asynccontextmanager
async def listening(host: str) -> Any:
    """A gRPC server at the address, as ours is opened: its port."""
    with closed_to_ipv6(host, 0) as free:
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        port = server.add_insecure_port(address_of(host, free))
        await server.start()
        try:
            yield port
        finally:
            await server.stop(0)


def accepts(address: str, port: int) -> bool:
    """Whether somebody listens there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as client:
        return client.connect_ex((address, port)) == 0


@pytest.fixture
def ipv6() -> None:
    """Skips where this machine has none."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")


async def test_every_address_of_ipv4_is_no_address_of_ipv6(ipv6: None) -> None:
    """GRPC would open both."""
    async with listening(EVERY_IPV4) as port:
        assert accepts("127.0.0.1", port)
        assert not accepts("::1", port)


async def test_every_address_is_both(ipv6: None) -> None:
    """Which is what :: asks for."""
    async with listening("::") as port:
        assert accepts("127.0.0.1", port)
        assert accepts("::1", port)


def test_a_port_that_somebody_has_in_ipv6_is_refused(ipv6: None) -> None:
    """Half of the callers would reach that one."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        taken = other.getsockname()[1]
        with pytest.raises(PortUnusable, match="KEEPER_HOST"), closed_to_ipv6(EVERY_IPV4, taken):
            pytest.fail("the port is taken")
