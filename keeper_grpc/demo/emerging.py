"""An open stream of emerging patterns, as a dashboard holds one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

import grpc
from grpc import aio

from keeper_grpc.demo.failure import DemoFailed
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    StreamEmergingPatternsRequest,
    StreamEmergingPatternsResponse,
)

if TYPE_CHECKING:  # exists in the stub file only
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

_SNAPSHOT = 60.0
"""Seconds for a snapshot."""

_CHANGE = 60.0
"""Seconds for a change to arrive; the detector makes five steps a second."""

_END = 30.0
"""Seconds from the server's drain to the end of the stream."""

Call: TypeAlias = (
    "aio.UnaryStreamCall[StreamEmergingPatternsRequest, StreamEmergingPatternsResponse]"
)


class EmergingStream:
    """One subscription. Use it as a context; the snapshot comes first."""

    def __init__(self, network: NetworkLearningServiceAsyncStub) -> None:
        self._call: Call = network.StreamEmergingPatterns(StreamEmergingPatternsRequest())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._call.cancel()

    async def snapshot(self) -> list[EmergingPattern]:
        """The snapshot. Raises DemoFailed."""
        found = []
        try:
            async with asyncio.timeout(_SNAPSHOT):
                while True:
                    message = await self._next()
                    kind = message.WhichOneof("event")
                    if kind == "emerging_pattern":
                        found.append(message.emerging_pattern)
                    elif kind == "snapshot_complete":
                        return found
        except TimeoutError:
            raise DemoFailed(f"no snapshot on the stream within {_SNAPSHOT:g} s") from None

    async def change(self, what: str, wanted: Callable[[EmergingPattern], bool]) -> EmergingPattern:
        """The next matching change. Raises DemoFailed, whose message calls it `what`."""
        try:
            async with asyncio.timeout(_CHANGE):
                while True:
                    message = await self._next()
                    changed = message.emerging_pattern
                    if message.WhichOneof("event") == "emerging_pattern" and wanted(changed):
                        return changed
        except TimeoutError:
            raise DemoFailed(f"{what} did not arrive on the stream in {_CHANGE:g} s") from None

    async def end(self) -> None:
        """Wait for the drain to end the stream. Raises DemoFailed."""
        try:
            async with asyncio.timeout(_END):
                code = await self._call.code()
        except TimeoutError:
            raise DemoFailed(f"the stream outlived the drain by {_END:g} s") from None
        if code is not grpc.StatusCode.UNAVAILABLE:
            raise DemoFailed(f"the drain ended the stream with {code.name}, not UNAVAILABLE")

    async def _next(self) -> StreamEmergingPatternsResponse:
        message = await self._call.read()
        if not isinstance(message, StreamEmergingPatternsResponse):
            raise DemoFailed(f"the stream ended: {await self._call.details()}")
        return message
