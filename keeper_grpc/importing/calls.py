"""CapturePattern over a channel, with the patience that a long import needs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from grpc import StatusCode

from keeper_grpc.client.channel import open_channel
from keeper_grpc.client.credentials import Credentials
from keeper_grpc.client.errors import KeeperClientError
from keeper_grpc.client.retries import Retries, retried
from keeper_grpc.connecting import proxy_on_the_way
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
"""Seconds to connect to a running server."""

_DEADLINE = 30.0
"""Seconds for one attempt: the server's own limit."""

_RETRIES = Retries(attempts=sys.maxsize, wait_initial=0.2, wait_max=5.0)
"""Unlimited: only patience, a time, bounds the attempts."""

_RETRIED = frozenset({StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED})
"""What another attempt may cure. The request_id makes it safe, whatever became of the first one.

More than the client retries, whose deadline is for a call as a whole: here it is for one attempt.
"""

_ROW_IS_WRONG = frozenset(
    {
        StatusCode.INVALID_ARGUMENT,
        StatusCode.ALREADY_EXISTS,
        StatusCode.FAILED_PRECONDITION,
        StatusCode.OUT_OF_RANGE,
    }
)
"""Codes that concern a single row. Any other code is the same for every row (UNIMPLEMENTED) or the
server's fault (INTERNAL), so the import stops and the row is sent again later."""

_CHANNEL = (
    # A restarted server is back within seconds; gRPC's own backoff grows to two minutes.
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


class Captures:
    """Sends captures. `retries` counts the attempts beyond the first ones.

    `patience`: seconds without any answer after which the server counts as gone. One that is slow answers others
    meanwhile, so that a call which it let wait is sent again.
    """

    def __init__(self, network: NetworkLearningServiceAsyncStub, patience: float) -> None:
        self._network = network
        self._patience = patience
        self._heard = 0.0
        self.retries = 0

    async def __call__(self, request: CapturePatternRequest) -> CapturePatternResponse:
        """The server's answer. Raises RowRejected, or ImportFailed when patience ends."""
        attempts = 0

        def attempt() -> Awaitable[CapturePatternResponse]:
            nonlocal attempts
            attempts += 1
            return self._network.CapturePattern(request, timeout=_DEADLINE)

        try:
            answer = await self._answered(attempt)
        except KeeperClientError as error:
            if error.code in _ROW_IS_WRONG:
                raise RowRejected(_reasons(error)) from error
            raise ImportFailed(
                f"the server answers {error.code.name}: {error.message}; "
                "run the same command again to go on"
            ) from error
        else:
            self._heard = asyncio.get_running_loop().time()
            return answer
        finally:
            self.retries += attempts - 1

    async def _answered(
        self, attempt: Callable[[], Awaitable[CapturePatternResponse]]
    ) -> CapturePatternResponse:
        """The answer to an attempt. Raises KeeperClientError when none came, or none to others, for too long."""
        give_up = asyncio.get_running_loop().time() + self._patience
        while True:
            try:
                return await retried(attempt, _RETRIES, give_up, _may_retry)
            except KeeperClientError as error:
                later = self._heard + self._patience
                if later <= give_up or not _may_retry(error):
                    raise
                give_up = later
                await asyncio.sleep(error.retry_after or 0.0)


@asynccontextmanager
async def connected(
    target: str, credentials: Credentials, patience: float
) -> AsyncIterator[Captures]:
    """Captures to a server. Raises ImportFailed when there is none."""
    async with open_channel(target, credentials, _CHANNEL) as channel:
        longest = min(_CONNECT, patience)
        try:
            async with asyncio.timeout(longest):
                await channel.channel_ready()
        except TimeoutError:
            way = proxy_on_the_way(target)
            raise ImportFailed(f"no server at {target}{way} within {longest:g} s") from None
        yield Captures(NetworkLearningServiceStub(channel), patience)


def _may_retry(error: KeeperClientError) -> bool:
    # A server under pressure says when to come again; a limit without that is not cured by waiting.
    return error.code in _RETRIED or (
        error.code is StatusCode.RESOURCE_EXHAUSTED and error.retry_after is not None
    )


def _reasons(error: KeeperClientError) -> list[Reason]:
    """The server's reasons: one for each field, or one for the call as a whole."""
    code = error.reason or error.code.name
    if error.field_violations:
        return [Reason(each.field, code, each.description) for each in error.field_violations]
    return [Reason("request", code, error.message)]
