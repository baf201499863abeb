"""Whether the target holds what the source holds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from keeper_grpc.operations.move.errors import CopyDiffers, LedgerWrong
from keeper_grpc.operations.move.tables import Table, in_columns
from keeper_grpc.storage.evidence.check import count_wrong

if TYPE_CHECKING:
    from keeper_grpc.operations.move.sides import Side
    from keeper_grpc.operations.move.tables import Key
    from keeper_grpc.storage.database import Connection


async def require_right_ledger(side: Side) -> None:
    """Raise LedgerWrong unless the evidence is what the ledger says."""
    wrong = await count_wrong(side.connection)
    if wrong:
        raise LedgerWrong(side.name, wrong)


async def require_same_rows(source: Connection, target: Connection, tables: Sequence[Table]) -> int:
    """Raise CopyDiffers unless each table has the same rows on both sides: how many there are."""
    ours, theirs = await asyncio.gather(*(_sums(side, tables) for side in (source, target)))
    _compare(ours, theirs)
    return sum(count for count, _ in ours.values())


async def require_same_counts(
    source: Connection, target: Connection, tables: Sequence[Table]
) -> int:
    """As `require_same_rows`, of the numbers of rows alone."""
    ours, theirs = await asyncio.gather(*(_counts(side, tables) for side in (source, target)))
    _compare(ours, theirs)
    return sum(ours.values())


async def require_same_of(
    source: Connection, target: Connection, tables: Sequence[Table], keys: Mapping[str, set[Key]]
) -> None:
    """As `require_same_rows`, of the rows of these keys, by table."""
    changed = [table for table in tables if keys.get(table.name)]
    ours, theirs = await asyncio.gather(*(_sums(side, changed, keys) for side in (source, target)))
    _compare(ours, theirs)


def _compare(ours: Mapping[str, object], theirs: Mapping[str, object]) -> None:
    differ = [name for name, value in ours.items() if theirs.get(name) != value]
    if differ:
        raise CopyDiffers(differ)


async def _sums(
    side: Connection, tables: Sequence[Table], keys: Mapping[str, set[Key]] | None = None
) -> Mapping[str, tuple[int, int]]:
    """The number of rows and the sum of their hashes, by table."""
    found = {}
    for table in tables:
        # A vector as text is eight times as long to make as its bytes.
        values = ", ".join(
            f"md5(vector_send(t.{column.name}))"
            if column.type.startswith("vector")
            else f"t.{column.name}"
            for column in table.columns
        )
        rows, arguments = f"{table.name} t", []
        if keys is not None:
            rows = f"{table.key_rows()} JOIN {table.name} t ON {table.is_wanted('t')}"
            arguments = in_columns(sorted(keys[table.name]))
        row = await side.fetchrow(
            f"""
            SELECT count(*) AS count, coalesce(sum(hashtextextended(ROW({values})::text, 0)::numeric), 0) AS sum
              FROM {rows}
            """,  # noqa: S608 - of the catalog
            *arguments,
        )
        assert row is not None  # noqa: S101 - an aggregate has one row
        found[table.name] = (int(row["count"]), int(row["sum"]))
    return found


async def _counts(side: Connection, tables: Sequence[Table]) -> Mapping[str, int]:
    return {
        table.name: await side.fetchval(f"SELECT count(*) FROM {table.name}")  # noqa: S608 - of the catalog
        for table in tables
    }
