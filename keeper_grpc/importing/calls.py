"""CapturePattern over a channel, with the patience that a long import needs."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode, aio

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternRequest,
    CapturePatternResponse,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.importing.failure import ImportFailed, Reason, RowRejected

if TYPE_CHECKING:  # exists in the stub file only
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

_CONNECT = 10.0
"""Seconds to reach a server that runs."""

_DEADLINE = 30.0
"""Seconds for one attempt: the server's own limit."""

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0
"""Seconds between attempts when the server names none: doubled each time, up to the longest."""

_RETRIED = frozenset({StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED})
"""What another attempt may cure. The request_id makes it safe, whatever became of the first one."""

_ROW_IS_WRONG = frozenset(
    {
        StatusCode.INVALID_ARGUMENT,
        StatusCode.ALREADY_EXISTS,
        StatusCode.FAILED_PRECONDITION,
        StatusCode.OUT_OF_RANGE,
    }
)
"""What is wrong with one row. Anything else, for example UNIMPLEMENTED, would be the same for every
row, or is the server's fault (INTERNAL): the row is to be sent again once that is mended."""

_CHANNEL = (
    # A server that restarts is back within seconds; gRPC's own backoff goes to two minutes.
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


class Captures:
    """Sends captures. `retries` counts the attempts beyond the first ones."""

    def __init__(self, network: NetworkLearningServiceAsyncStub, patience: float) -> None:
        self._network = network
        self._patience = patience
        self.retries = 0

    async def __call__(self, request: CapturePatternRequest) -> CapturePatternResponse:
        """The server's answer. Raises RowRejected, or ImportFailed when patience ends."""
        give_up = time.monotonic() + self._patience
        wait = _FIRST_WAIT
        while True:
            try:
                return await self._network.CapturePattern(request, timeout=_DEADLINE)
            except aio.AioRpcError as error:
                if error.code() in _ROW_IS_WRONG:
                    raise RowRejected(_reasons(error)) from None
                asked = _asked_wait(error)
                if error.code() not in _RETRIED or time.monotonic() + asked > give_up:
                    raise ImportFailed(
                        f"the server answers {error.code().name}: {error.details()}; "
                        "run the same command again to go on"
                    ) from None
            self.retries += 1
            # Spread out, so that the calls in flight do not all come back at once.
            await asyncio.sleep(asked + random.uniform(wait / 2, wait))  # noqa: S311 - no secret
            wait = min(2 * wait, _LONGEST_WAIT)


@asynccontextmanager
async def connected(target: str, patience: float) -> AsyncIterator[Captures]:
    """Captures to a server. Raises ImportFailed when there is none."""
    async with aio.insecure_channel(target, options=_CHANNEL) as channel:
        longest = min(_CONNECT, patience)
        try:
            async with asyncio.timeout(longest):
                await channel.channel_ready()
        except TimeoutError:
            raise ImportFailed(f"no server at {target} within {longest:g} s") from None
        yield Captures(NetworkLearningServiceStub(channel), patience)


def _reasons(error: aio.AioRpcError) -> list[Reason]:
    """What the server says of the request: each field, or the call as a whole."""
    status = _status(error)
    info, fields = ErrorInfo(), BadRequest()
    code = info.reason if _unpack(status, info) and info.reason else error.code().name
    if _unpack(status, fields) and fields.field_violations:
        return [Reason(each.field, code, each.description) for each in fields.field_violations]
    return [Reason("request", code, error.details() or "")]


def _asked_wait(error: aio.AioRpcError) -> float:
    """Seconds that the server asks to wait; 0 when it asks for none."""
    retry = RetryInfo()
    if not _unpack(_status(error), retry):
        return 0.0
    return float(retry.retry_delay.ToTimedelta().total_seconds())


def _status(error: aio.AioRpcError) -> Status:
    status = Status()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            # What does not parse is a proxy's; the code says enough.
            with contextlib.suppress(DecodeError):
                status.ParseFromString(value)
    return status


def _unpack(status: Status, into: Message) -> bool:
    return any(detail.Unpack(into) for detail in status.details)
