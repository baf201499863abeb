"""Inserts rows by column name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


async def insert_rows(
    connection: Connection,
    table: str,
    types: Mapping[str, str],
    rows: Sequence[Mapping[str, object]],
) -> None:
    """Insert rows in their order by one statement. `types` are the columns to fill, with their types.

    A row gives a value for each column, or None by leaving it out. Any number of rows makes the same statement.
    """
    if not rows:
        return
    arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(types.values(), 1))
    await connection.execute(
        f"INSERT INTO {table} ({', '.join(types)}) SELECT * FROM unnest({arrays})",  # noqa: S608 - names of ours
        *([row.get(column) for row in rows] for column in types),
    )
