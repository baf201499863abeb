"""The two databases of a move: a session on each, which may write where nobody else may."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import asyncpg

from keeper_grpc.operations.move.errors import MoveBusy, RightMissing, SameDatabase
from keeper_grpc.storage.connections.address import Address
from keeper_grpc.storage.connections.connector import Connector, unreachable
from keeper_grpc.storage.connections.move_mark import SCHEMA, Phase
from keeper_grpc.storage.connections.session import settle
from keeper_grpc.storage.connections.unfit import DatabaseUnfit, ServerReadOnly
from keeper_grpc.storage.database import Connection
from keeper_grpc.storage.locks import AdvisoryLock, try_session_lock

APPLICATION: Final = "keeper move"

_SESSION: Final = {
    "application_name": APPLICATION,
    # Nobody else may write to a database that is closed; a move may.
    "default_transaction_read_only": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    # Rows are compared as text.
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # What a move adds is of the database that it is connected to, not of a cluster's other nodes.
    "citus.enable_ddl_propagation": "off",
    "citus.multi_shard_modify_mode": "sequential",
}


@dataclass(frozen=True, slots=True)
class Side:
    """One database. `name` is what the operator calls it: source or target."""

    name: str
    dsn: str = field(repr=False)
    connection: Connection


@asynccontextmanager
async def open_sides(source: str, target: str) -> AsyncIterator[tuple[Side, Side]]:
    """A session on each, for one move at a time.

    Raises DatabaseUnfit of either side with its name, SameDatabase, MoveBusy, RightMissing.
    """
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(open_side(source, "source"))
        second = await stack.enter_async_context(open_side(target, "target"))
        if await _identity(first.connection) == await _identity(second.connection):
            raise SameDatabase
        for side in (first, second):
            await stack.enter_async_context(alone(side))
            await _require_rights(side)
        yield first, second


@asynccontextmanager
async def open_side(dsn: str, name: str) -> AsyncIterator[Side]:
    """A session on one of them, closed at the end. Raises DatabaseUnfit."""
    connection = await open_session(dsn, name)
    try:
        yield Side(name, dsn, connection)
    finally:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=5)


async def open_session(dsn: str, name: str) -> Connection:
    """A session on a server that may be closed for others. Raises DatabaseUnfit."""
    try:
        connector = Connector(Address.parse(dsn, for_reading=True), for_reading=True)
        try:
            connection = await connector.connect()
        except asyncpg.TooManyConnectionsError as error:
            raise unreachable(error) from error
        try:
            await _set_up(connection)
        except BaseException:
            connection.terminate()
            raise
    except DatabaseUnfit as error:
        # Its lines name the setting of the source.
        line = str(error).replace("KEEPER_DATABASE_URL", "--to") if name == "target" else str(error)
        raise DatabaseUnfit(f"the {name}: {line}") from error
    return connection


async def _set_up(connection: Connection) -> None:
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        raise ServerReadOnly
    for setting, value in _SESSION.items():
        await connection.execute("SELECT set_config($1, $2, false)", setting, value)
    await settle(connection)


@asynccontextmanager
async def alone(side: Side) -> AsyncIterator[None]:
    """No other move is at this database. Raises MoveBusy."""
    async with try_session_lock(side.connection, AdvisoryLock.MOVE) as held:
        if not held:
            raise MoveBusy(side.name)
        yield


async def _identity(connection: Connection) -> object:
    row = await connection.fetchrow(
        "SELECT pg_postmaster_start_time() AS started, current_database() AS database"
    )
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return row["started"], row["database"]


async def _require_rights(side: Side) -> None:
    row = await side.connection.fetchrow(
        """
        SELECT quote_ident(current_user) AS role,
               pg_has_role(d.datdba, 'USAGE') AS owns,
               NOT EXISTS (SELECT 1 FROM pg_class c
                            WHERE c.relkind IN ('r', 'p', 'v') AND c.relnamespace = current_schema()::regnamespace
                              AND NOT pg_has_role(c.relowner, 'USAGE')
                              AND NOT EXISTS (SELECT 1 FROM pg_depend e
                                               WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'))
                   AS owns_tables
          FROM pg_database d WHERE d.datname = current_database()
        """
    )
    assert row is not None  # noqa: S101 - the session's own database
    if not row["owns"]:
        raise RightMissing(
            side.name, row["role"], "does not own the database, which a move closes for writes"
        )
    if not row["owns_tables"]:
        raise RightMissing(
            side.name, row["role"], "does not own all tables, whose changes a move notes"
        )


async def set_mark(connection: Connection, move: UUID, phase: Phase) -> None:
    """Say what this database is in which move."""
    await connection.execute(
        f"""
        INSERT INTO {SCHEMA}.mark (move, phase) VALUES ($1, $2)
        ON CONFLICT (id) DO UPDATE SET move = excluded.move, phase = excluded.phase, changed_time = now()
        """,  # noqa: S608 - a constant
        move,
        phase.value,
    )


async def make_schema(connection: Connection) -> None:
    """Make the schema of a move with its mark, which every role may read."""
    await connection.execute(
        f"""
        CREATE SCHEMA IF NOT EXISTS {SCHEMA};
        CREATE TABLE IF NOT EXISTS {SCHEMA}.mark (
            id           boolean PRIMARY KEY DEFAULT true CHECK (id),
            move         uuid NOT NULL,
            phase        text NOT NULL CHECK (phase IN ('leaving', 'switching', 'moved', 'arriving')),
            changed_time timestamptz NOT NULL DEFAULT now()
        );
        GRANT USAGE ON SCHEMA {SCHEMA} TO PUBLIC;
        GRANT SELECT ON {SCHEMA}.mark TO PUBLIC;
        """
    )
