"""Retries: which errors, how often, and after which wait.

The loop is our own, because gRPC's retry policy (service config) reads a header of its own and no RetryInfo,
stops at five attempts, does not retry a stream after its first message, and adds no jitter to a delay
that the server asked for. gRPC's transparent retries stay on: they concern calls that never left this process.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc

from keeper_grpc.client.errors import (
    DeadlineExceeded,
    KeeperClientError,
    Unavailable,
    from_call,
)

Answer = TypeVar("Answer")

_SERVERS_LIMIT = "CALL_DURATION_EXCEEDED"
"""The server's own limit on a call was reached; the caller's deadline was not."""


@dataclass(frozen=True, slots=True)
class Retries:
    """At most `attempts` in all. Waits grow from `wait_initial` seconds, doubling, to `wait_max`.

    `jitter` returns a number in [0, 1), the share of the backoff that is waited, so that callers which one
    restart has cut off do not all come back at once.
    """

    attempts: int = 4
    wait_initial: float = 0.1
    wait_max: float = 10.0
    jitter: Callable[[], float] = random.random

    def delay(self, failures: int, error: KeeperClientError) -> float:
        """Seconds to wait after `failures` consecutive failures, never less than the server asks for."""
        doublings = min(failures - 1, 30)  # beyond, `wait_max` decides, and floats would overflow
        backoff: float = min(self.wait_max, self.wait_initial * 2**doublings)
        return (error.retry_after or 0.0) + backoff * self.jitter()


def may_retry(error: KeeperClientError) -> bool:
    """Whether another attempt may succeed.

    Every call of this API may be repeated: calls that change something carry a request_id, and the lost
    answer of an enhancement is advice that is not acted on.
    """
    if isinstance(error, DeadlineExceeded):
        return error.reason == _SERVERS_LIMIT
    return isinstance(error, Unavailable)


async def retried(
    attempt: Callable[[], Awaitable[Answer]],
    retries: Retries,
    deadline: float,
    may_retry: Callable[[KeeperClientError], bool] = may_retry,
) -> Answer:
    """The answer of the first attempt that succeeds. Raises the KeeperClientError of the last one.

    No attempt begins after `deadline`, a time of the event loop; an attempt bounds its own duration.
    """
    failures = 0
    while True:
        try:
            return await attempt()
        except grpc.aio.AioRpcError as broken:
            error = from_call(broken)
            failures += 1
            delay = retries.delay(failures, error)
            # Nothing is gained by waiting for an attempt that has no time left.
            late = asyncio.get_running_loop().time() + delay >= deadline
            if late or failures >= retries.attempts or not may_retry(error):
                raise error from broken
        await asyncio.sleep(delay)
