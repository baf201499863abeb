"""One process at a time: a batch is a transaction that holds the lock of retention, or does nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.locks import AdvisoryLock, try_lock


@asynccontextmanager
async def turn(database: Database) -> AsyncIterator[Connection | None]:
    """A transaction for one batch; None while another process is at one."""
    async with database.transaction() as connection:
        yield connection if await try_lock(connection, AdvisoryLock.RETENTION) else None


def affected(status: str) -> int:
    """The number of rows in a statement's status, such as "DELETE 5"."""
    return int(status.rpartition(" ")[2])
