"""Copying rows by COPY: a table in the order of its key, some thousand rows at a time, or the rows of some keys."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import asyncpg

from keeper_grpc.operations.move.noting import noted_keys
from keeper_grpc.operations.move.tables import Key, Table, in_columns
from keeper_grpc.storage.connections.move_mark import SCHEMA

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection

CHUNK: Final = 2_000
"""Rows that are copied in one transaction, and are in memory meanwhile: the largest have 12 KB of vectors."""


async def make_progress_table(target: Connection) -> None:
    """Make the table in which the target says how far each of its tables is copied."""
    await target.execute(
        f"""
        CREATE TABLE IF NOT EXISTS {SCHEMA}.progress (
            table_name text PRIMARY KEY,
            last_key   text[],
            rows       bigint NOT NULL DEFAULT 0,
            done       boolean NOT NULL DEFAULT false
        )
        """
    )


async def copy_table(source: Connection, target: Connection, table: Table) -> int:
    """Copy the rows of a table that are not there yet, from where an earlier run was interrupted: how many.

    Rows and progress are one transaction of the target.
    """
    after = None
    progress = await target.fetchrow(
        f"SELECT last_key, done FROM {SCHEMA}.progress WHERE table_name = $1",  # noqa: S608 - a constant
        table.name,
    )
    if progress is not None:
        if progress["done"]:
            return 0
        after = tuple(progress["last_key"])
    copied = 0
    while True:
        last = await _end_of_chunk(source, table, after)
        try:
            rows = await _copy_chunk(source, target, table, after, last)
        except asyncpg.UniqueViolationError:
            if not await let_go_of_noted(source, target, table):
                raise
            continue
        copied += rows
        if last is None:
            return copied
        after = last


async def let_go_of_noted(source: Connection, target: Connection, table: Table) -> int:
    """Delete the rows of a table that changed since they were copied, from the target: how many. They are followed later.

    One of them may have been replaced by a row with another key and the same unique value, which the target takes
    only without it.
    """
    keys = await noted_keys(source, table)
    return await _delete(target, table, keys) if keys else 0


async def _copy_chunk(
    source: Connection, target: Connection, table: Table, after: Key | None, last: Key | None
) -> int:
    """Copy the rows after a key up to another one, and say in the target that they are; None ends the table."""
    rows = 0
    async with target.transaction():
        if last is not None:
            rows = await _copy(source, target, table, *_between(table, after, last))
        await target.execute(
            f"""
            INSERT INTO {SCHEMA}.progress AS p (table_name, last_key, rows, done) VALUES ($1, $2, $3, $4)
            ON CONFLICT (table_name) DO UPDATE
               SET last_key = coalesce(excluded.last_key, p.last_key), rows = p.rows + excluded.rows,
                   done = excluded.done
            """,  # noqa: S608 - a constant
            table.name,
            last,
            rows,
            last is None,
        )
    return rows


async def copy_rows(
    source: Connection, target: Connection, table: Table, keys: Sequence[Key]
) -> None:
    """Let the target have of these keys what the source has of them now, in the caller's transaction of the target."""
    await _delete(target, table, keys)
    columns = ", ".join(f"t.{column.name}" for column in table.columns)
    await _copy(
        source,
        target,
        table,
        f"SELECT {columns} FROM {table.key_rows()} JOIN {table.name} t ON {table.is_wanted('t')}",  # noqa: S608 - of the catalog
        in_columns(keys),
    )


async def _delete(target: Connection, table: Table, keys: Sequence[Key]) -> int:
    said = await target.execute(
        f"DELETE FROM {table.name} t USING {table.key_rows()} WHERE {table.is_wanted('t')}",  # noqa: S608 - of the catalog
        *in_columns(keys),
    )
    return int(said.split()[-1])


async def _end_of_chunk(source: Connection, table: Table, after: Key | None) -> Key | None:
    """The last key of the next rows; None after the last."""
    key = ", ".join(column.as_text() for column in table.keys)
    down = ", ".join(f"{column.name} DESC" for column in table.keys)
    beyond = f"WHERE ({table.key_names}) > {table.key_row()}" if after else ""
    row = await source.fetchrow(
        f"""
        SELECT {key} FROM (
            SELECT {table.key_names} FROM {table.name} {beyond} ORDER BY {table.key_names} LIMIT {CHUNK}) chunk
         ORDER BY {down} LIMIT 1
        """,  # noqa: S608 - of the catalog
        *(after or ()),
    )
    return None if row is None else tuple(row)


def _between(table: Table, after: Key | None, last: Key) -> tuple[str, Sequence[str]]:
    columns = ", ".join(column.name for column in table.columns)
    upto = f"({table.key_names}) <= {table.key_row()}"
    beyond = f" AND ({table.key_names}) > {table.key_row(1 + len(table.keys))}" if after else ""
    return (
        f"SELECT {columns} FROM {table.name} WHERE {upto}{beyond}",  # noqa: S608 - of the catalog
        (*last, *(after or ())),
    )


async def _copy(
    source: Connection,
    target: Connection,
    table: Table,
    query: str,
    arguments: Sequence[object],
) -> int:
    rows = io.BytesIO()
    said = await source.copy_from_query(query, *arguments, output=rows, format="binary")
    rows.seek(0)
    await target.copy_to_table(table.name, source=rows, columns=table.column_names, format="binary")
    return int(said.split()[-1])
