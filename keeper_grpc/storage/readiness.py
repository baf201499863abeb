"""Whether the database can answer calls: it is there, has this program's schema, and takes writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.storage.connections.unfit import DatabaseMoved
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.schema.migrate import is_current

if TYPE_CHECKING:
    from keeper_grpc.storage.database import Connection

_log = structlog.get_logger(__name__)

UNREACHABLE: Final = "the database does not answer"
MOVED: Final = "the network was moved to another database"
READ_ONLY: Final = "the database takes no writes"
DISK_FULL: Final = "the database's disk is full"
SCHEMA: Final = "the database lacks this program's schema"

_PROBE_ROWS: Final = 32
"""Vectors of 6 KB each: more than the free pages that a full disk usually leaves in a table."""


class Readiness:
    """Asks the database, and logs each change of the answer with its reason."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reason = ""
        """What keeps the database from answering calls, as of the last look; empty when nothing does."""

    async def __call__(self) -> bool:
        """Whether the database can answer calls now."""
        reason = await self._look()
        if reason != self.reason:
            if reason:
                _log.warning("database_not_ready", reason=reason)
            else:
                _log.info("database_ready")
            self.reason = reason
        return not reason

    async def _look(self) -> str:
        try:
            async with self._database.connection() as connection:
                if await _is_read_only(connection):
                    # Also for the connections that only read, which would not notice.
                    await self._database.renew()
                    return READ_ONLY
                if not await is_current(connection):
                    return SCHEMA
                if self._database.disk_is_full:
                    await _write(connection)
                    self._database.disk_is_full = False
        except StorageUnavailable as error:
            cause = error.__cause__
            if isinstance(cause, DatabaseMoved):
                return MOVED
            return DISK_FULL if isinstance(cause, asyncpg.DiskFullError) else UNREACHABLE
        return ""


async def _is_read_only(connection: Connection) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool"
        )
    )


async def _write(connection: Connection) -> None:
    """Write as much as needs room on the disk, and undo it. Raises what the server says."""
    undone = connection.transaction()
    await undone.start()
    try:
        await connection.execute(
            """
            INSERT INTO embedding_cache (embedding_model, content_hash, embedding)
            SELECT 'no model: a probe of the disk', int8send(n), array_fill(0.1::real, ARRAY[1536])::vector
              FROM generate_series(1, $1) AS n
            """,
            _PROBE_ROWS,
        )
    finally:
        await undone.rollback()
