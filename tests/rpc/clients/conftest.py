from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from keeper_grpc.client import KeeperClient
from tests.rpc.clients.scripted import client
from tests.rpc.service import Service


@pytest.fixture
async def keeper(service: Service) -> AsyncIterator[KeeperClient]:
    """A client of the module's service."""
    async with client(service.app.port) as made:
        yield made
