"""A raw subscriber that reconnects with its token, and what the table says that it must have seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import asyncpg
import grpc

from bench.chaos.history import Event, told
from bench.chaos.history import written as rows
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import StreamEmergingPatternsRequest
from tests.e2e.calls import network, retry_delay

if TYPE_CHECKING:
    from tests.e2e.server_process import ServerProcess


class Follower:
    """Reads as fast as it can, for ever: whenever its stream ends it goes on at the next server.

    Nothing is filtered and nothing dropped: `events` is what came over the wire, in order. The place
    in history is a part of the token (docs/streams.md).
    """

    def __init__(self, servers: Sequence[ServerProcess]) -> None:
        self._servers = servers
        self.events: list[Event] = []
        self.streams = 0
        self.snapshots = 0
        self.resume_token = ""
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while True:
            server = self._servers[self.streams % len(self._servers)]
            self.streams += 1
            try:
                async with server.channel() as channel:
                    async for message in network(channel).StreamEmergingPatterns(
                        StreamEmergingPatternsRequest(resume_token=self.resume_token)
                    ):
                        self.resume_token = message.resume_token
                        self.snapshots += message.HasField("snapshot_complete")
                        if message.HasField("emerging_pattern"):
                            self.events.append(told(message.emerging_pattern, self.resume_token))
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(retry_delay(error))

    @property
    def place(self) -> int:
        """The last event that it has, or 0."""
        return self.events[-1].sequence if self.events else 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop. Raises what the reader failed with."""
        self._reader.cancel()
        await asyncio.wait([self._reader])
        if not self._reader.cancelled():
            self._reader.result()


async def written(dsn: str) -> list[Event]:
    """Every row of the table of events."""
    connection = await asyncpg.connect(dsn)
    try:
        return await rows(connection)
    finally:
        await connection.close()
