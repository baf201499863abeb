"""What a database holds, as a manifest counts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection


async def count_rows(connection: Connection) -> Mapping[str, int]:
    """The rows of every table, by its name. In one snapshot where the transaction has one."""
    tables = await connection.fetch(
        """
        SELECT relname AS name, format('%I.%I', relnamespace::regnamespace, relname) AS quoted
          FROM pg_class
         WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
         ORDER BY relname
        """
    )
    return {
        table["name"]: await connection.fetchval(
            f"SELECT count(*) FROM {table['quoted']}"  # noqa: S608 - of the catalog, quoted by it
        )
        for table in tables
    }


async def migrations_of(connection: Connection) -> Mapping[str, str]:
    """The checksums of the applied migrations by name, in order; none of a database that was never migrated."""
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return {}
    rows = await connection.fetch("SELECT name, checksum FROM schema_migrations ORDER BY version")
    return {row["name"]: row["checksum"] for row in rows}


async def has_learned(connection: Connection) -> bool:
    """Whether accounts or evidence are in it. A new database with the catalog alone has nothing to lose."""
    if not await migrations_of(connection):
        return False
    return bool(
        await connection.fetchval(
            """
            SELECT EXISTS (SELECT 1 FROM accounts) OR EXISTS (SELECT 1 FROM observations)
                OR EXISTS (SELECT 1 FROM enhancements)
                OR EXISTS (SELECT 1 FROM network_patterns WHERE catalog_key IS NULL)
            """
        )
    )
