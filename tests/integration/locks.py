"""Waiting until a session waits for a lock."""

from __future__ import annotations

import asyncio

from keeper_grpc.storage.database import Connection
from tests.e2e.waiting import POLL, SOON

_WAITS = """
    SELECT EXISTS (
        SELECT FROM pg_locks WHERE NOT granted AND (
               database IS NULL OR database =
               (SELECT oid FROM pg_database WHERE datname = current_database())))
"""


async def waiting_for_a_lock(connection: Connection) -> None:
    """Until another session of this database does, on whichever node of a cluster.

    Not by pg_stat_activity, of which a transaction sees what it saw first.
    """
    spread = await connection.fetchval("SELECT is_spread()")
    async with asyncio.timeout(SOON):
        while not await _waits(connection, spread=spread):  # noqa: ASYNC110 - the server alone tells
            await asyncio.sleep(POLL)


async def _waits(connection: Connection, *, spread: bool) -> bool:
    if not spread:
        return bool(await connection.fetchval(_WAITS))
    nodes = await connection.fetch("SELECT result FROM run_command_on_all_nodes($1)", _WAITS)
    return any(node["result"] == "t" for node in nodes)
