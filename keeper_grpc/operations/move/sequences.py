"""Numbers that the target gives from now on: none that the source has given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keeper_grpc.operations.move.tables import Table
    from keeper_grpc.storage.database import Connection


async def take_over_sequences(
    source: Connection, target: Connection, tables: Sequence[Table]
) -> None:
    """Let the sequences of the target go on where the source's are; positions of streams are such numbers."""
    for table in tables:
        if table.identity is None:
            continue
        given = await source.fetchval(
            "SELECT pg_sequence_last_value(pg_get_serial_sequence($1, $2)::regclass)",
            table.name,
            table.identity,
        )
        there = await target.fetchval(f"SELECT max({table.identity}) FROM {table.name}")  # noqa: S608 - of the catalog
        if last := max(given or 0, there or 0):
            await target.execute(
                "SELECT setval(pg_get_serial_sequence($1, $2)::regclass, $3)",
                table.name,
                table.identity,
                last,
            )
