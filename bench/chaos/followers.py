"""Subscribers that resume by their token for as long as the run goes, and what the table says they must have seen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Self

import grpc

from bench.chaos.history import Event, told
from bench.chaos.servers import Server
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import StreamEmergingPatternsRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub

if TYPE_CHECKING:  # types of the stub files only
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )


class Follower:
    """Reads for ever: whenever its stream ends it goes on at the next server, by the last token."""

    def __init__(self, servers: Sequence[Server], first: int) -> None:
        self._servers = [*servers[first:], *servers[:first]]
        self.name = f"the follower that began at {self._servers[0].name}"
        self.events: list[Event] = []
        self.streams = 0
        self.snapshots = 0
        self.violations: list[str] = []
        self._token = ""
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reader is not None  # noqa: S101 - it was begun
        self._reader.cancel()
        await asyncio.wait([self._reader])

    @property
    def place(self) -> int:
        """The last event that it has, or 0."""
        return self.events[-1].sequence if self.events else 0

    async def _read(self) -> None:
        while True:
            server = self._servers[self.streams % len(self._servers)]
            self.streams += 1
            try:
                await self._follow(server)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    self.violations.append(f"{self.name}: {error.code().name} {error.details()}")
            await asyncio.sleep(0.1)

    async def _follow(self, server: Server) -> None:
        async with server.channel() as channel:
            stub: NetworkLearningServiceAsyncStub = NetworkLearningServiceStub(channel)
            request = StreamEmergingPatternsRequest(resume_token=self._token)
            async for message in stub.StreamEmergingPatterns(request):
                self._token = message.resume_token
                self.snapshots += message.HasField("snapshot_complete")
                if message.HasField("emerging_pattern"):
                    self.events.append(told(message.emerging_pattern, self._token))

    def differences(self, rows: Sequence[Event]) -> Iterator[str]:
        """What came that is not in the table up to its place, and the other way round.

        One difference is documented: of two updates of one pattern that both waited for a reader that lags, the older
        one is not sent.
        """
        yield from self.violations
        seen = {event.sequence: event for event in self.events}
        if list(seen) != sorted(seen):
            yield f"{self.name}: out of order"
        if len(seen) != len(self.events):
            yield f"{self.name}: {len(self.events) - len(seen)} events told twice"
        if self.snapshots != 1:
            yield f"{self.name}: {self.snapshots} snapshots, so a token was not good"
        written = {row.sequence: row for row in rows}
        yield from (f"{self.name}: made up {seen[n]}" for n in seen.keys() - written.keys())
        newest: dict[str, str] = {}
        for row in reversed([row for row in rows if row.sequence <= self.place]):
            later = newest.get(row.emerging_pattern_id)
            newest[row.emerging_pattern_id] = row.change
            if row.sequence not in seen:
                if (row.change, later) != ("updated", "updated"):
                    yield f"{self.name}: missed {row}"
            elif seen[row.sequence] != row:
                yield f"{self.name}: {seen[row.sequence]} is {row}"
