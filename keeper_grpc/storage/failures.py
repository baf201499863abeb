"""The only place that translates a driver's errors, and logs what they were."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import asyncpg
import structlog

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.storage.connections.unfit import DatabaseUnfit

_log = structlog.get_logger(__name__)

# Errors that another attempt, or another server, may not meet. They include no programming errors.
_UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # asyncpg's catch-alls: the first is raised for a closed connection or pool, the second for a
    # connection that breaks while it is set up.
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    # No connection could be made: what is wrong with the server, as storage/connections/ has it.
    DatabaseUnfit,
)

LOG_INTERVAL: Final = 1.0
"""Seconds between lines about the same failure: an outage fails every call."""


def unavailable(error: Exception) -> StorageUnavailable | None:
    """What a caller gets in place of a driver's or a socket's error; None where it says that we are wrong."""
    if isinstance(error, _UNAVAILABLE):
        return StorageUnavailable("the database cannot answer now")
    return None


class FailureLog:
    """Logs failures of the database by class and SQLSTATE, never by message, which may quote a row."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, interval: float = LOG_INTERVAL
    ) -> None:
        self._clock = clock
        self._interval = interval
        self._logged: dict[tuple[str, str | None], tuple[float, int]] = {}

    def __call__(self, error: Exception) -> None:
        """Log the failure, unless the same was logged a moment ago: then count it for the next line."""
        # Of a connection that could not be made, what the driver said is the cause.
        driver = (isinstance(error, DatabaseUnfit) and error.__cause__) or error
        sqlstate = getattr(driver, "sqlstate", None)
        key = type(driver).__name__, sqlstate
        now = self._clock()
        last, left_out = self._logged.get(key, (float("-inf"), 0))
        if now - last < self._interval:
            self._logged[key] = last, left_out + 1
            return
        self._logged[key] = now, 0
        _log.warning(
            "storage_unavailable",
            error=key[0],
            sqlstate=sqlstate,
            **({"as_well": left_out} if left_out else {}),
        )
