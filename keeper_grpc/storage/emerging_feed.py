"""The readers' side of the emerging-pattern tables: snapshots, events, wake-ups."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from keeper_grpc.domain.emerging import Change, EmergingPattern, FeedEvent, FeedHistory
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging_detection import EVENTS_CHANNEL
from keeper_grpc.storage.emerging_rows import COLUMNS, from_json, from_row


class PostgresEmergingFeed:
    """Reads what the leader wrote."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def snapshot(self) -> tuple[FeedHistory, Sequence[EmergingPattern]]:
        """What is emerging, and the place in history at which that is so, from one snapshot."""
        async with self._database.transaction(read_only=True) as connection:
            history = await connection.fetch(_HISTORY)
            rows = await connection.fetch(
                f"SELECT {COLUMNS} FROM emerging_patterns WHERE state = 'emerging' "  # noqa: S608 - a constant
                "ORDER BY last_seen_time DESC, id"
            )
        return _history(history[0]), [from_row(row) for row in rows]

    async def history(self) -> FeedHistory:
        """Where history stands."""
        async with self._database.connection() as connection:
            return _history((await connection.fetch(_HISTORY))[0])

    async def events_after(self, sequence: int, limit: int) -> Sequence[FeedEvent]:
        """The events that follow, oldest first."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT sequence, change, state FROM emerging_events
                 WHERE sequence > $1 ORDER BY sequence LIMIT $2
                """,
                sequence,
                limit,
            )
        return [
            FeedEvent(row["sequence"], Change(row["change"]), from_json(row["state"]))
            for row in rows
        ]

    async def shown_at(self, sequence: int) -> Sequence[EmergingPattern]:
        """What was emerging after the event with this sequence."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT state FROM (
                    SELECT DISTINCT ON (emerging_pattern_id) change, state FROM emerging_events
                     WHERE sequence <= $1 ORDER BY emerging_pattern_id, sequence DESC) last
                 WHERE change IN ('new', 'updated')
                """,
                sequence,
            )
        return [from_json(row["state"]) for row in rows]

    @asynccontextmanager
    async def wakeups(self) -> AsyncIterator[PostgresWakeups]:
        """Begin to listen for the leader's notifications, on a connection of its own."""
        wakeups = PostgresWakeups()
        async with self._database.connection() as connection:
            connection.add_termination_listener(wakeups.lose)
            await connection.add_listener(EVENTS_CHANNEL, wakeups.wake)
            try:
                yield wakeups
            finally:
                connection.remove_termination_listener(wakeups.lose)
                if not connection.is_closed():
                    await connection.remove_listener(EVENTS_CHANNEL, wakeups.wake)


class PostgresWakeups:
    """Notifications of the leader. One only wakes: whoever misses it finds the events in the table."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._lost = False

    def wake(self, *_: Any) -> None:
        """Note that something was written."""
        self._woken.set()

    def lose(self, *_: Any) -> None:
        """Note that the connection is gone."""
        self._lost = True
        self._woken.set()

    async def wait(self, at_most: timedelta) -> None:
        """Until woken, or until the time is over. Raises StorageUnavailable when deaf."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most.total_seconds()):
                await self._woken.wait()
        self._woken.clear()
        if self._lost:
            raise StorageUnavailable("the connection that listens was lost")


_HISTORY = """
    SELECT epoch, trimmed_sequence,
           coalesce((SELECT max(sequence) FROM emerging_events), trimmed_sequence) AS sequence
      FROM emerging_history
"""


def _history(row: Any) -> FeedHistory:
    epoch: UUID = row["epoch"]
    return FeedHistory(epoch, row["sequence"], row["trimmed_sequence"])
