from __future__ import annotations

import pytest

from tests.e2e.clients.restarting import Restarting
from tests.e2e.conftest import MakeDirectory, StartServer


@pytest.fixture
async def network_server(start_server: StartServer, make_directory: MakeDirectory) -> Restarting:
    """A server of gRPC and HTTP with TLS and tokens, which may be restarted."""
    server = Restarting.secured(start_server, make_directory())
    await server.up()
    return server
