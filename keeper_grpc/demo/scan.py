"""Search a whole database, and log files, for identifiers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from keeper_grpc.demo.failure import DemoFailed
from keeper_grpc.demo.identifiers import Finder, Identifier
from keeper_grpc.storage.database import Connection

_CONTROL = "keeper_demo_control"
"""A temporary table with every identifier: the scan must find them there, or it proves nothing."""

_FETCH = 50
"""Rows at a time; a row with a vector is 20 KB of text."""

_TABLES = """
    SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relname AS label,
           array_agg(a.attname ORDER BY a.attnum) AS columns,
           array_agg(CASE WHEN a.atttypid = 'bytea'::regtype THEN quote_ident(a.attname)
                          ELSE quote_ident(a.attname) || '::text' END
                     ORDER BY a.attnum) AS expressions
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relkind IN ('r', 'm')
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
       AND NOT pg_is_other_temp_schema(n.oid)
     GROUP BY n.nspname, c.relname
     ORDER BY c.relname
"""


@dataclass(frozen=True, slots=True)
class Hit:
    """An identifier that was found, and where."""

    place: str
    identifier: Identifier


@dataclass(slots=True)
class Scan:
    """What was searched, and what was found."""

    tables: int = 0
    columns: int = 0
    values: int = 0
    hits: set[Hit] = field(default_factory=set)


async def scan_database(connection: Connection, finder: Finder) -> Scan:
    """Search every column of every table.

    Raises DemoFailed when the scan does not find the planted identifiers, because it then proves nothing.
    """
    scan = Scan()
    await connection.execute(f"CREATE TEMPORARY TABLE {_CONTROL} (planted text)")
    try:
        await connection.executemany(
            f"INSERT INTO {_CONTROL} VALUES ($1)",  # noqa: S608 - a constant
            [(identifier.value,) for identifier in finder.identifiers],
        )
        for table in await connection.fetch(_TABLES):
            found, values = await _scan_table(connection, finder, table)
            if table["label"] == _CONTROL:
                _check_control(found, finder)
                continue
            scan.tables += 1
            scan.columns += len(table["columns"])
            scan.values += values
            scan.hits |= found
    finally:
        await connection.execute(f"DROP TABLE {_CONTROL}")
    return scan


def scan_file(path: Path, finder: Finder) -> set[Hit]:
    """Search a text file. JSON lines are searched in decoded form."""
    hits: set[Hit] = set()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        text = line
        with contextlib.suppress(ValueError):
            text = json.dumps(json.loads(line), ensure_ascii=False)
        hits |= {Hit(path.name, identifier) for identifier in finder.in_text(text)}
    return hits


async def _scan_table(
    connection: Connection, finder: Finder, table: asyncpg.Record
) -> tuple[set[Hit], int]:
    hits: set[Hit] = set()
    values = 0
    query = f"SELECT {', '.join(table['expressions'])} FROM {table['name']}"  # noqa: S608 - quoted by the database
    async with connection.transaction(readonly=True):
        async for row in connection.cursor(query, prefetch=_FETCH):
            for column, value in zip(table["columns"], row.values(), strict=True):
                if value is None:
                    continue
                values += 1
                found = (
                    finder.in_bytes(value) if isinstance(value, bytes) else finder.in_text(value)
                )
                hits |= {Hit(f"{table['label']}.{column}", identifier) for identifier in found}
    return hits, values


def _check_control(found: Iterable[Hit], finder: Finder) -> None:
    unseen = set(finder.identifiers) - {hit.identifier for hit in found}
    if unseen:
        raise DemoFailed(f"the scan is blind to {len(unseen)} identifiers that it was shown")
