"""Proxies of the environment: which ones gRPC takes, and that none sees what goes to this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from keeper_grpc.client.channel import open_blocking_channel, open_channel
from keeper_grpc.client.proxies import proxy_of
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import ListPatternsRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub

VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")
ELSEWHERE = "network.invalid:50051"


@asynccontextmanager
async def listening_proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that refuses everyone: its address, and the first line of each connection."""
    asked: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode())
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}", asked


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own proxies are not this test's."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("target", "set_to", "others"),
    [
        (ELSEWHERE, "http_proxy", {}),
        (ELSEWHERE, "https_proxy", {"http_proxy": ""}),
        (ELSEWHERE, "grpc_proxy", {"https_proxy": "http://192.0.2.1:1"}),
        (f"dns:///{ELSEWHERE}", "http_proxy", {}),
        (ELSEWHERE, "http_proxy", {"no_proxy": "other.invalid, another.invalid"}),
        (ELSEWHERE, "http_proxy", {"no_proxy": "network.invalid", "no_grpc_proxy": ""}),
        (ELSEWHERE, "http_proxy", {"no_proxy": "network.invalid"}),
        (ELSEWHERE, "http_proxy", {"no_proxy": "other.invalid,.INVALID"}),
        (ELSEWHERE, "http_proxy", {"no_grpc_proxy": "network.invalid"}),
        (ELSEWHERE, "http_proxy", {"https_proxy": ""}),
        ("192.0.2.7:50051", "http_proxy", {"no_proxy": "192.0.2.0/24"}),
        ("192.0.2.7:50051", "http_proxy", {"no_proxy": "192.0.3.0/24"}),
    ],
)
async def test_the_proxy_is_the_one_that_grpc_asks(
    monkeypatch: pytest.MonkeyPatch, target: str, set_to: str, others: dict[str, str]
) -> None:
    """What is said to be on the way is what gRPC connects to, and nothing else is."""
    async with listening_proxy() as (address, asked):
        environment = {set_to: f"http://user:secret@{address}"} | others
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        async with grpc.aio.insecure_channel(target) as channel:
            stub = NetworkLearningServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.ListPatterns(ListPatternsRequest(), timeout=1.0)

        proxy = proxy_of(target, environment)
        assert (proxy is not None) == bool(asked), caught.value
    if proxy is not None:
        assert (proxy.variable, proxy.address) == (set_to, address)
        assert "secret" not in str(proxy)


async def test_no_proxy_sees_what_goes_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token may travel there in clear text, so nobody else may be asked to carry it."""
    async with listening_proxy() as (address, asked):
        monkeypatch.setenv("http_proxy", f"http://{address}")
        for target in ("127.0.0.1:1", "localhost:1", "[::1]:1"):
            async with open_channel(target, None, ()) as channel:
                with pytest.raises(grpc.aio.AioRpcError):
                    await NetworkLearningServiceStub(channel).ListPatterns(ListPatternsRequest())
            with (
                open_blocking_channel(target, None, ()) as blocking,
                pytest.raises(grpc.RpcError),
            ):
                NetworkLearningServiceStub(blocking).ListPatterns(ListPatternsRequest())
            assert proxy_of(target, {"http_proxy": f"http://{address}"}) is None
    assert asked == []


def test_what_is_no_http_proxy_is_not_on_the_way() -> None:
    """GRPC leaves out what it cannot ask."""
    for value in ("", "socks5://192.0.2.1:1080", "192.0.2.1:3128"):
        assert proxy_of(ELSEWHERE, {"http_proxy": value}) is None
