"""Noting which rows of the source change while it serves.

A trigger on each table writes the key of each row that a transaction changes into one table, in that transaction.
What the row is like then is read when it is copied: so notes may be followed in any order, and twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import asyncpg

from keeper_grpc.operations.move.errors import ChangesUnnoted, TablesLocked
from keeper_grpc.storage.connections.move_mark import SCHEMA

if TYPE_CHECKING:
    from keeper_grpc.operations.move.tables import Key, Table
    from keeper_grpc.storage.database import Connection

_TRIGGER: Final = "keeper_move"

_LOCK_TIMEOUT: Final = "2s"
"""Of a table on which a trigger is made. Every write of it waits behind the one who waits."""

_ATTEMPTS: Final = 30


async def begin_noting(connection: Connection, tables: Sequence[Table]) -> None:
    """Make the triggers that are not there. From then on each change is noted. Raises TablesLocked."""
    await connection.execute(
        f"""
        CREATE TABLE IF NOT EXISTS {SCHEMA}.changes (
            id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            table_name text NOT NULL,
            key        text[] NOT NULL
        )
        """
    )
    noted = await _noted(connection)
    for table in tables:
        if table.name not in noted:
            await _make_trigger(connection, table)


async def require_noting(connection: Connection, tables: Sequence[Table]) -> None:
    """Raise ChangesUnnoted unless every table has its trigger."""
    noted = await _noted(connection)
    lost = [table.name for table in tables if table.name not in noted]
    if lost:
        raise ChangesUnnoted(lost)


async def noted_keys(connection: Connection, table: Table) -> list[Key]:
    """The keys of a table's rows whose changes are still to be followed."""
    rows = await connection.fetch(
        f"SELECT DISTINCT key FROM {SCHEMA}.changes WHERE table_name = $1",  # noqa: S608 - a constant
        table.name,
    )
    return [tuple(row["key"]) for row in rows]


async def refuse_changes(connection: Connection, tables: Sequence[Table]) -> None:
    """Let the triggers refuse what they noted: a session that makes itself writable changes nothing either."""
    for table in tables:
        await connection.execute(
            f"""
            CREATE OR REPLACE FUNCTION {SCHEMA}.note_{table.name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'the network was moved away from this database' USING ERRCODE = 'read_only_sql_transaction';
            END $$
            """
        )


async def end_noting(connection: Connection) -> None:
    """Remove everything that a move added to this database. Raises TablesLocked."""
    await _when_unlocked(connection, f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


async def _noted(connection: Connection) -> set[str]:
    rows = await connection.fetch(
        """
        SELECT c.relname AS name FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
         WHERE t.tgname = $1 AND t.tgenabled <> 'D' AND c.relnamespace = current_schema()::regnamespace
        """,
        _TRIGGER,
    )
    return {row["name"] for row in rows}


async def _make_trigger(connection: Connection, table: Table) -> None:
    def note(row: str) -> str:
        key = ", ".join(column.as_text(row) for column in table.keys)
        return (
            f"INSERT INTO {SCHEMA}.changes (table_name, key) VALUES ('{table.name}', ARRAY[{key}]);"  # noqa: S608 - of the catalog
        )

    changed = " OR ".join(
        f"OLD.{column.name} IS DISTINCT FROM NEW.{column.name}" for column in table.keys
    )
    # Servers may have another role, which needs no right to what a move adds.
    await _when_unlocked(
        connection,
        f"""
        CREATE OR REPLACE FUNCTION {SCHEMA}.note_{table.name}() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO, YMD' AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                {note("NEW")}
            ELSE
                {note("OLD")}
                IF TG_OP = 'UPDATE' AND ({changed}) THEN
                    {note("NEW")}
                END IF;
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER {_TRIGGER} AFTER INSERT OR UPDATE OR DELETE ON {table.name}
            FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.note_{table.name}()
        """,
    )


async def _when_unlocked(connection: Connection, statements: str) -> None:
    """Run statements that lock tables, in one transaction, between those of the servers. Raises TablesLocked."""
    for _ in range(_ATTEMPTS):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                await connection.execute(statements)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            # Whoever holds the table writes, and others write after it: between two attempts they go on.
            await asyncio.sleep(0.1)
        else:
            return
    raise TablesLocked
