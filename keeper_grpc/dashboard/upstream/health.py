"""What the server says of its health."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from keeper_grpc.dashboard.upstream.feed import Feed
from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2, network_service_pb2

_PACE = 2.0
"""Seconds between two looks: the server's own pace."""

_TIMEOUT = 3.0

SERVICES: Mapping[str, str] = {
    "": "The server",
    network_service_pb2.DESCRIPTOR.services_by_name["NetworkLearningService"].full_name: "Network",
    admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name: "Administration",
}
"""What is asked about, and its name for people."""


class Health(Feed):
    """The status of the server and of each service, by its name; what has not answered has the code instead."""

    def __init__(self, connect: Callable[[], grpc.aio.Channel]) -> None:
        super().__init__()
        self.statuses: Mapping[str, str] = {}
        self._connect = connect

    @property
    def known(self) -> bool:
        return bool(self.statuses)

    async def _follow(self) -> None:
        async with self._connect() as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)  # its stub file does not type the calls
            while True:
                found = await asyncio.gather(*(_status(stub, name) for name in SERVICES))
                self.statuses = dict(zip(SERVICES, found, strict=True))
                self._changed()
                await asyncio.sleep(_PACE)


async def _status(stub: Any, service: str) -> str:
    try:
        request = health_pb2.HealthCheckRequest(service=service)
        answer = await stub.Check(request, timeout=_TIMEOUT)
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
