"""The connection pool."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from uuid import UUID

import asyncpg
import numpy as np
from numpy.typing import NDArray
from pgvector import Vector
from pgvector.asyncpg import register_vector

from keeper_grpc.spans import Spans
from keeper_grpc.storage.connections.address import Address
from keeper_grpc.storage.connections.connector import Connector, unreachable
from keeper_grpc.storage.connections.limit import ConnectionLimit
from keeper_grpc.storage.connections.session import settle
from keeper_grpc.storage.failures import LOG_INTERVAL, FailureLog, unavailable
from keeper_grpc.storage.statement_spans import with_spans

if TYPE_CHECKING:
    from asyncpg import Pool, Record
    from asyncpg.pool import PoolConnectionProxy

# A string, because asyncpg's classes are generic in their stubs only.
Connection: TypeAlias = "asyncpg.Connection[Record] | PoolConnectionProxy[Record]"

CLOSE_TIMEOUT = 5
"""Seconds to wait for connections at shutdown. By then every call has ended or been cancelled."""

REPLICA_LOG_INTERVAL = 60.0
"""Seconds between lines about the same failure of a standby."""


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
        self,
        pool: Pool[Record],
        acquire_timeout: float,
        on_wait: Callable[[float], None],
        log_failure: FailureLog,
    ) -> None:
        self._pool = pool
        self._acquire_timeout = acquire_timeout
        self._on_wait = on_wait
        self._on_change: list[Callable[[Sequence[Change]], None]] = []
        self._limit = ConnectionLimit(pool.get_max_size())
        self._log_failure = log_failure
        self.disk_is_full = False
        """The server had no room for a write, and none has been proven to go through since."""

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
        for_reading: bool = False,
    ) -> Database:
        """Connect. `acquire_timeout` and `statement_timeout` are in seconds.

        `on_wait` is called with the seconds of each wait for a connection, also of one that timed out.
        `for_reading`: a standby will do, and it may be away now.

        Raises DatabaseUnfit.
        """
        connector = Connector(
            Address.parse(dsn, for_reading=for_reading),
            for_reading=for_reading,
            command_timeout=statement_timeout,
        )

        async def connect(_dsn: None, *, connection_class: Any, **_: Any) -> Any:
            # What else the pool passes are defaults.
            return await connector.connect(connection_class)

        async def prepare(connection: Any) -> None:
            schema = await settle(connection, statement_timeout)
            await register_vector(connection, schema=schema)
            await connection.set_type_codec(
                "jsonb", schema="pg_catalog", encoder=_to_json, decoder=json.loads
            )

        pool = await asyncpg.create_pool(
            # The driver would restore a least number by itself, and log a traceback where it cannot.
            min_size=0,
            max_size=pool_size,
            connection_class=with_spans(spans) if spans and spans.on else asyncpg.Connection,
            connect=cast("Any", connect),  # the stubs know no such function
            # No statement of ours leaves session state to reset, and the reset query costs more than a small
            # statement: without it a connection runs 18,600 of them a second, with it 4,800.
            reset=_reset_nothing,
            init=prepare,
        )
        # Nobody waits for a standby, so its absence is no news every second.
        log_failure = FailureLog(interval=REPLICA_LOG_INTERVAL if for_reading else LOG_INTERVAL)
        database = cls(pool, acquire_timeout, on_wait, log_failure)
        if for_reading:
            return database
        try:
            await database._release(await database._acquire())
        except (OSError, asyncpg.InterfaceError) as error:
            raise unreachable(error) from error
        return database

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
        """A connection for a few statements. Waits at most the acquire timeout.

        Raises StorageUnavailable for failures of the server, the driver or a socket; other errors pass.
        """
        try:
            connection = await self._acquire()
            try:
                yield connection
            except asyncpg.ReadOnlySQLTransactionError:
                await self._leave_read_only(connection)
                raise
            finally:
                await self._release(connection)
        except Exception as error:
            failure = unavailable(error)
            if failure is None:
                raise
            self._log_failure(error)
            if isinstance(error, asyncpg.DiskFullError):
                self.disk_is_full = True
            raise failure from error

    async def _acquire(self) -> PoolConnectionProxy[Record]:
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._acquire_timeout):
                while True:
                    await self._limit.enter()
                    try:
                        return await self._pool.acquire()
                    except asyncpg.TooManyConnectionsError:
                        await self._limit.refused()
                    except BaseException:
                        self._limit.leave()
                        raise
        except asyncpg.PostgresError as error:
            # Whatever the server says of a login, it is no defect of the caller's statement.
            raise unreachable(error) from error
        finally:
            self._on_wait(time.perf_counter() - start)

    async def _release(self, connection: PoolConnectionProxy[Record]) -> None:
        try:
            await self._pool.release(connection)
        finally:
            self._limit.leave()

    async def _leave_read_only(self, connection: Connection) -> None:
        """Give up a connection whose server takes no writes, and the others, which are of the same server.

        A new one is made only to a server that takes writes, so none stays with a primary that became a standby.
        """
        connection.terminate()
        await self.renew()

    async def renew(self) -> None:
        """Replace every connection when it is taken next or given back."""
        await self._pool.expire_connections()

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

    async def close(self) -> None:
        """Wait at most CLOSE_TIMEOUT for the connections in use, then close."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


async def _reset_nothing(connection: Any) -> None:
    """Replaces asyncpg's reset of a released connection."""


_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _to_json(value: Any) -> str:
    return _JSON.encode(value)


def to_array(value: Any) -> NDArray[np.float32]:
    """A vector column's value as an array: pgvector's codec gives its own Vector."""
    return np.asarray(value.to_numpy() if isinstance(value, Vector) else value, np.float32)
