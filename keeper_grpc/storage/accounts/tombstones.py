"""The account_tombstones table, for trimming; forgetting.py writes it and accounts.py reads it."""

from __future__ import annotations

from datetime import datetime

from keeper_grpc.storage.database import Database


class PostgresTombstones:
    """The table of usecases/accounts/tombstones.py."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trim(self, now: datetime) -> None:
        async with self._database.connection() as connection:
            await connection.execute("DELETE FROM account_tombstones WHERE expire_time <= $1", now)
