"""Old questions: those without an outcome or a reaction are rolled up by account and day (migration 0002)."""

from __future__ import annotations

from datetime import datetime, timedelta

from keeper_grpc.storage.database import Database
from keeper_grpc.storage.retention.turn import turn


class OldQuestions:
    """Rows of `enhancements` that nobody may report on any more."""

    name = "questions"

    def __init__(self, database: Database, retention: timedelta) -> None:
        self._database = database
        self._retention = retention

    async def trim(self, now: datetime, limit: int) -> int:
        async with turn(self._database) as connection:
            if connection is None:
                return 0
            looked_at: int = await connection.fetchval(
                "SELECT roll_up_questions($1, $2)", now - self._retention, limit
            )
        return looked_at
