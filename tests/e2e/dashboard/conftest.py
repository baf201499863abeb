from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.e2e.conftest import starter
from tests.e2e.dashboard.browsing import (
    Dashboard,
    browsing,
    dashboard,
)
from tests.e2e.dashboard.network import ACTIONS, Network, learn
from tests.e2e.server_process import ServerProcess

MakeDirectory = Callable[[], Path]


@pytest.fixture(scope="module")
async def network(make_directory: MakeDirectory, database_url: str) -> AsyncIterator[Network]:
    """A server that knows three patterns of spas and one observation of a gym."""
    async with starter(make_directory) as start_server:

        async def start(port: int) -> ServerProcess:
            return await start_server(
                database_url=database_url, KEEPER_PORT=str(port), KEEPER_STREAM_HEARTBEAT="0.5"
            )

        started = Network(start, await start(0))
        for action in ACTIONS:
            await learn(started.address, action)
        await learn(
            started.address, "Call new members in their second week", category="gym", accounts=1
        )
        yield started


@pytest.fixture(scope="module")
async def served(network: Network, make_directory: MakeDirectory) -> AsyncIterator[Dashboard]:
    """The dashboard of that server."""
    async with dashboard(network.address, make_directory()) as started:
        yield started


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """The module's browser."""
    async with browsing() as started:
        yield started
