"""Inserts rows by column name."""

from __future__ import annotations

from collections.abc import Mapping

from keeper_grpc.storage.database import Connection


async def insert_row(
    connection: Connection, table: str, row: Mapping[str, object], conflict: str = ""
) -> None:
    """Insert one row. `conflict` is an ON CONFLICT clause without parameters.

    Equal columns make equal statements, which the connection prepares only once.
    """
    columns = ", ".join(row)
    parameters = ", ".join(f"${position}" for position in range(1, len(row) + 1))
    await connection.execute(
        f"INSERT INTO {table} ({columns}) VALUES ({parameters}) {conflict}",  # noqa: S608 - names of ours
        *row.values(),
    )
