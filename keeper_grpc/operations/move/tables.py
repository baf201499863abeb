"""The tables that a move copies: the schema's, but for the record of its migrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from keeper_grpc.storage.schema.distribution import parts_of

if TYPE_CHECKING:
    from asyncpg import Record

    from keeper_grpc.storage.database import Connection

_NOT_COPIED: Final = ("schema_migrations",)
"""Each database has its own: who migrated it, and when."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, its name quoted, and its type as SQL writes it."""

    name: str
    type: str

    def as_text(self, row: str = "") -> str:
        """SQL for the value as text, whatever the session's style of dates is; `row` is the row it is of."""
        reference = f"{row}.{self.name}" if row else self.name
        if self.type == "date":
            return f"to_char({reference}, 'YYYY-MM-DD')"
        return f"{reference}::text"


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `columns` are those that are copied: neither generated ones nor transaction ids, which are its server's.

    `identity` is the column that a sequence fills, if there is one.
    """

    name: str
    keys: tuple[Column, ...]
    columns: tuple[Column, ...]
    identity: str | None

    @property
    def key_names(self) -> str:
        """The primary key's columns, for SQL."""
        return ", ".join(key.name for key in self.keys)

    @property
    def column_names(self) -> list[str]:
        """The columns that are copied, as they are without quotes: the driver quotes them."""
        return [column.name.strip('"') for column in self.columns]

    def key_row(self, first: int = 1) -> str:
        """SQL for a key of texts that are the statement's arguments from `first` on."""
        values = (f"${first + n}::text::{key.type}" for n, key in enumerate(self.keys))
        return f"({', '.join(values)})"

    def key_rows(self) -> str:
        """SQL for the keys whose columns are arrays of text, the statement's first arguments."""
        names = ", ".join(f"k{n}" for n in range(len(self.keys)))
        arrays = ", ".join(f"${n + 1}::text[]" for n in range(len(self.keys)))
        typed = ", ".join(f"k{n}::{key.type} AS k{n}" for n, key in enumerate(self.keys))
        return f"(SELECT DISTINCT {typed} FROM unnest({arrays}) AS given ({names})) AS wanted"  # noqa: S608 - of the catalog

    def is_wanted(self, row: str) -> str:
        """SQL that holds where `row` has one of `key_rows`."""
        return " AND ".join(f"{row}.{key.name} = wanted.k{n}" for n, key in enumerate(self.keys))


Key = tuple[str, ...]
"""A primary key's values as text, in the order of its columns."""


def in_columns(keys: Sequence[Key]) -> list[list[str]]:
    """The keys as `Table.key_rows` takes them."""
    return [list(column) for column in zip(*keys, strict=True)]


async def tables_of(connection: Connection) -> tuple[Table, ...]:
    """The tables of the current schema, by name."""
    rows = await connection.fetch(
        """
        SELECT c.relname AS name, quote_ident(a.attname) AS quoted,
               format_type(a.atttypid, a.atttypmod) AS type, a.attidentity <> '' AS identity,
               array_position(i.indkey::int2[], a.attnum) AS place,
               a.attgenerated = '' AND a.atttypid <> 'xid8'::regtype AS copied
          FROM pg_class c
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace
           AND c.relname <> ALL ($1)
         ORDER BY c.relname, a.attnum
        """,
        [*_NOT_COPIED, *await parts_of(connection)],
    )
    return tuple(
        _table(name, list(columns)) for name, columns in groupby(rows, key=lambda row: row["name"])
    )


def _table(name: str, rows: Sequence[Record]) -> Table:
    in_key = sorted((row for row in rows if row["place"] is not None), key=lambda row: row["place"])
    return Table(
        name,
        tuple(Column(row["quoted"], row["type"]) for row in in_key),
        tuple(Column(row["quoted"], row["type"]) for row in rows if row["copied"]),
        next((row["quoted"] for row in rows if row["identity"]), None),
    )
