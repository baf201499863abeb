"""The clients in front of several servers under one name."""

from __future__ import annotations

import asyncio

from keeper_grpc.client import KeeperClient, SyncKeeperClient
from keeper_grpc.gen.keeper.network.v1.insight_pb2 import Outcome
from tests.e2e.waiting import SOON
from tests.rpc.clients.scripted import OWN_CONNECTION, Scripted, script
from tests.rpc.requests import insight, new_account
from tests.stand_in_server import serving

GOOD = Outcome(success=True)


def addresses(*ports: int) -> str:
    """What a name with several addresses resolves to."""
    return "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)


def all_were_asked(servers: list[Scripted]) -> bool:
    """Whether each has had a call."""
    return all(server.request_ids for server in servers)


async def test_calls_of_one_client_are_spread_over_all_addresses() -> None:
    """A single connection would put them all onto one server."""
    servers = [script(), script()]
    async with (
        serving(servers[0]) as one,
        serving(servers[1]) as other,
        KeeperClient(addresses(one, other), options=OWN_CONNECTION) as keeper,
        asyncio.timeout(SOON),
    ):
        while not all_were_asked(servers):
            await keeper.capture(new_account(), insight("topic"), GOOD)


async def test_those_of_a_synchronous_client_are_too() -> None:
    """The same channel, for code that blocks."""
    servers = [script(), script()]

    def call(target: str) -> None:
        with SyncKeeperClient(target, options=OWN_CONNECTION) as keeper:
            while not all_were_asked(servers):
                keeper.capture(new_account(), insight("topic"), GOOD)

    async with serving(servers[0]) as one, serving(servers[1]) as other, asyncio.timeout(SOON):
        await asyncio.to_thread(call, addresses(one, other))
