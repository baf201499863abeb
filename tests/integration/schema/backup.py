"""A backup of the events and its restore, as pg_dump and pg_restore do it: numbers and all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.emerging.emerging_events import insert

if TYPE_CHECKING:
    import asyncpg

    from keeper_grpc.domain.emerging.model import Change, EmergingPattern

TABLES = ("emerging_events", "emerging_history")


async def back_up(database: asyncpg.Pool[asyncpg.Record]) -> None:
    """Keep the tables as they are."""
    for table in TABLES:
        await database.execute(
            f"DROP TABLE IF EXISTS backup_{table}; CREATE TABLE backup_{table} AS TABLE {table}"
        )


async def restore(
    database: asyncpg.Pool[asyncpg.Record], *others: tuple[Change, EmergingPattern]
) -> int:
    """Put the tables back, and let other things happen than did before; the last one's number.

    Nobody sees anything between, as if all had been away for so long.
    """
    async with database.acquire() as connection, connection.transaction():
        for table in TABLES:
            await connection.execute(
                f"""
                DELETE FROM {table};
                INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM backup_{table}
                """  # noqa: S608 - a constant
            )
        await connection.execute(
            """
            SELECT setval(pg_get_serial_sequence('emerging_events', 'sequence'),
                          coalesce(max(sequence), 0) + 1, false) FROM emerging_events
            """
        )
        await insert(connection, *others)
        last: int = await connection.fetchval("SELECT max(sequence) FROM emerging_events")
    return last
