"""Waiting until a session waits for a lock."""

from __future__ import annotations

import asyncio

from keeper_grpc.storage.database import Connection
from tests.e2e.waiting import POLL, SOON


async def waiting_for_a_lock(connection: Connection) -> None:
    """Until another session of this database does.

    Not by pg_stat_activity, of which a transaction sees what it saw first.
    """
    async with asyncio.timeout(SOON):
        while not await connection.fetchval(  # noqa: ASYNC110 - the server alone tells
            """
            SELECT EXISTS (
                SELECT FROM pg_locks WHERE NOT granted AND (
                       database IS NULL OR database =
                       (SELECT oid FROM pg_database WHERE datname = current_database())))
            """
        ):
            await asyncio.sleep(POLL)
