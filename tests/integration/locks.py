"""Waiting until a statement waits for an advisory lock."""

from __future__ import annotations

import asyncio

from keeper_grpc.storage.database import Database
from tests.e2e.waiting import POLL, SOON


async def waiting_for_a_lock(database: Database) -> None:
    """Until another transaction of this database does."""
    async with asyncio.timeout(SOON), database.connection() as connection:
        while not await connection.fetchval(  # noqa: ASYNC110 - the catalog alone tells
            """
            SELECT EXISTS (
                SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database =
                       (SELECT oid FROM pg_database WHERE datname = current_database()))
            """
        ):
            await asyncio.sleep(POLL)
