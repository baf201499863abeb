"""One command at the archives of a database at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keeper_grpc.operations.archive.errors import ArchiveBusy
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.locks import AdvisoryLock, try_session_lock


@asynccontextmanager
async def alone(database: Database) -> AsyncIterator[None]:
    """Nobody else writes archives or reads them all. Raises ArchiveBusy."""
    async with (
        database.connection() as connection,
        try_session_lock(connection, AdvisoryLock.ARCHIVE) as held,
    ):
        if not held:
            raise ArchiveBusy
        yield
