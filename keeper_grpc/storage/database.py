"""The connection pool, and the only place that translates a driver's errors."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

import asyncpg
import numpy as np
from numpy.typing import NDArray
from pgvector import Vector
from pgvector.asyncpg import register_vector

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.spans import Spans
from keeper_grpc.storage.statement_spans import with_spans

if TYPE_CHECKING:
    from asyncpg import Pool, Record
    from asyncpg.pool import PoolConnectionProxy

# A string, because asyncpg's classes are generic in their stubs only.
Connection: TypeAlias = "asyncpg.Connection[Record] | PoolConnectionProxy[Record]"

# Errors that another attempt, or another server, may not meet. They include no programming errors.
_UNAVAILABLE = (
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
)


CLOSE_TIMEOUT = 5
"""Seconds to wait for connections at shutdown. By then every call has ended or been cancelled."""


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Turn failures of the driver or a socket into `StorageUnavailable`; other errors pass."""
    try:
        yield
    except _UNAVAILABLE as error:
        raise StorageUnavailable("the database cannot answer now") from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        # asyncpg's catch-alls: the first is raised for a closed connection or pool, the second for a
        # connection that breaks while it is set up.
        raise StorageUnavailable("the database cannot answer now") from error


@dataclass(frozen=True, slots=True)
class Change:
    """A scope whose patterns a transaction changed, the version that the scope has from then on, and the patterns.

    None: some are gone, or all have changed.
    """

    scope_id: int
    version: int
    pattern_ids: frozenset[UUID] | None


_changes: ContextVar[list[Change] | None] = ContextVar("changes", default=None)


def note_change(change: Change) -> None:
    """Let the process know of a change as soon as the transaction that makes it has committed."""
    noted = _changes.get()
    if noted is not None:
        noted.append(change)


class Database:
    """A bounded pool. Open it after the migrations: its connections need the vector type."""

    def __init__(
        self, pool: Pool[Record], acquire_timeout: float, on_wait: Callable[[float], None]
    ) -> None:
        self._pool = pool
        self._acquire_timeout = acquire_timeout
        self._on_wait = on_wait
        self._on_change: list[Callable[[Sequence[Change]], None]] = []

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        pool_size: int,
        acquire_timeout: float,
        statement_timeout: float,
        on_wait: Callable[[float], None] = lambda seconds: None,  # noqa: ARG005 - the default ignores it
        spans: Spans | None = None,
    ) -> Database:
        """Connect. `acquire_timeout` and `statement_timeout` are in seconds.

        `on_wait` is called with the seconds of each wait for a connection, also of one that timed out.
        """
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=pool_size,
            connection_class=with_spans(spans) if spans and spans.on else asyncpg.Connection,
            command_timeout=statement_timeout,
            # No statement of ours leaves session state to reset, and the reset query costs more than a small
            # statement: without it a connection runs 18,600 of them a second, with it 4,800.
            reset=_reset_nothing,
            init=_prepare,
            server_settings={
                "application_name": "keeper",
                "timezone": "UTC",
                # 0 would be none.
                "statement_timeout": str(max(1, int(statement_timeout * 1000))),
                "idle_in_transaction_session_timeout": "30000",
                # A process whose host is gone must not keep the leader's lock: the server drops its
                # connection after six seconds. The default is the operating system's: two hours, and a quarter
                # of an hour while the server sends an answer, when no keepalive is sent.
                "tcp_keepalives_idle": "3",
                "tcp_keepalives_interval": "1",
                "tcp_keepalives_count": "3",
                "tcp_user_timeout": "6000",
                # A generic plan may choose an ANN index over the exact scan (3.4 times as slow, measured).
                "plan_cache_mode": "force_custom_plan",
                "jit": "off",
            },
        )
        return cls(pool, acquire_timeout, on_wait)

    @property
    def size(self) -> int:
        """Connections that are open."""
        return self._pool.get_size()

    @property
    def idle(self) -> int:
        """Open connections that are not in use."""
        return self._pool.get_idle_size()

    @property
    def max_size(self) -> int:
        """Most connections that may be open."""
        return self._pool.get_max_size()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for a few statements. Waits at most the acquire timeout."""
        async with translated():
            start = time.perf_counter()
            try:
                connection = await self._pool.acquire(timeout=self._acquire_timeout)
            finally:
                self._on_wait(time.perf_counter() - start)
            try:
                yield connection
            finally:
                await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[Connection]:
        """A connection inside one transaction. A read-only one sees a single snapshot."""
        noted: list[Change] = []
        before = _changes.set(noted)
        try:
            async with (
                self.connection() as connection,
                connection.transaction(
                    isolation="repeatable_read" if read_only else "read_committed",
                    readonly=read_only,
                ),
            ):
                yield connection
        finally:
            _changes.reset(before)
        if noted:
            for listener in self._on_change:
                listener(noted)

    def on_change(self, listener: Callable[[Sequence[Change]], None]) -> None:
        """Call it with what each transaction changed that commits on this pool, before anything else runs."""
        self._on_change.append(listener)

    async def answers(self, question: Callable[[Connection], Awaitable[bool]]) -> bool:
        """The answer to a question, or False when the server cannot be asked."""
        try:
            async with self.connection() as connection:
                return await question(connection)
        except StorageUnavailable:
            return False

    async def close(self) -> None:
        """Wait at most CLOSE_TIMEOUT for the connections in use, then close."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


async def _prepare(connection: Any) -> None:
    await register_vector(connection)
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_to_json, decoder=json.loads
    )


async def _reset_nothing(connection: Any) -> None:
    """Replaces asyncpg's reset of a released connection."""


def _to_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def to_array(value: Any) -> NDArray[np.float32]:
    """A vector column's value as an array: pgvector's codec gives its own Vector."""
    return np.asarray(value.to_numpy() if isinstance(value, Vector) else value, np.float32)
