from __future__ import annotations

import pytest

from tests.e2e.clients.restarting import Restarting
from tests.e2e.conftest import MakeDirectory, StartServer


@pytest.fixture
async def network_server(start_server: StartServer, make_directory: MakeDirectory) -> Restarting:
    """A server that serves gRPC and HTTP, and may be restarted."""
    server = Restarting(start_server, make_directory() / "data")
    await server.up()
    return server
