"""Following the source's changes: the target becomes what the source is in one snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import asyncpg

from keeper_grpc.operations.move.copying import copy_rows, let_go_of_noted
from keeper_grpc.storage.connections.move_mark import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg import Record

    from keeper_grpc.operations.move.tables import Key, Table
    from keeper_grpc.storage.database import Connection

_BATCH: Final = 5_000
"""Notes that are followed in one transaction of the target."""


@dataclass(slots=True)
class Followed:
    """What was copied in a round: notes, and the keys of the rows that they were of."""

    notes: int = 0
    keys: dict[str, set[Key]] = field(default_factory=lambda: defaultdict(set))


@asynccontextmanager
async def same_snapshot(
    source: Connection, target: Connection, tables: Sequence[Table]
) -> AsyncIterator[Followed]:
    """Let the target have what the source has in the snapshot that the block reads, and then forget those notes.

    The first time, the target has a copy of all rows, made after noting began. All that was noted since and is visible
    in the snapshot is copied as it is in the snapshot, so for the length of the block both hold the same.
    """
    by_name = {table.name: table for table in tables}
    async with source.transaction(isolation="repeatable_read"):
        followed = Followed()
        while notes := await source.fetch(
            f"SELECT id, table_name, key FROM {SCHEMA}.changes ORDER BY id LIMIT {_BATCH}"  # noqa: S608 - constants
        ):
            try:
                await _follow(source, target, by_name, notes, followed)
            except asyncpg.UniqueViolationError:
                # A row has what was another's, whose note comes after this batch.
                for table in tables:
                    await let_go_of_noted(source, target, table)
                await _follow(source, target, by_name, notes, followed)
            await source.execute(
                f"DELETE FROM {SCHEMA}.changes WHERE id = ANY ($1)",  # noqa: S608 - a constant
                [note["id"] for note in notes],
            )
        yield followed


async def _follow(
    source: Connection,
    target: Connection,
    tables: Mapping[str, Table],
    notes: Sequence[Record],
    followed: Followed,
) -> None:
    keys: dict[str, set[Key]] = defaultdict(set)
    for note in notes:
        keys[note["table_name"]].add(tuple(note["key"]))
    async with target.transaction():
        for name, of_table in sorted(keys.items()):
            await copy_rows(source, target, tables[name], sorted(of_table))
    followed.notes += len(notes)
    for name, of_table in keys.items():
        followed.keys[name] |= of_table
