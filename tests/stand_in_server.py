"""A server in front of handlers that a test wrote, for what is a client of the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import (
    AdminServiceServicer,
    add_AdminServiceServicer_to_server,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
    NetworkLearningServiceServicer,
    add_NetworkLearningServiceServicer_to_server,
)


@asynccontextmanager
async def serving(
    handlers: NetworkLearningServiceServicer | AdminServiceServicer,
) -> AsyncIterator[int]:
    """The port of a server of one service or both, as the handlers are. What they lack is UNIMPLEMENTED."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    if isinstance(handlers, NetworkLearningServiceServicer):
        add_NetworkLearningServiceServicer_to_server(handlers, server)
    if isinstance(handlers, AdminServiceServicer):
        add_AdminServiceServicer_to_server(handlers, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)
