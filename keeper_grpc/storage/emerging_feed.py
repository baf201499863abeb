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
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.emerging_detection import EVENTS_CHANNEL
from keeper_grpc.storage.emerging_rows import from_json


class PostgresEmergingFeed:
    """Reads what the leader wrote."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def snapshot(self) -> tuple[FeedHistory, Sequence[EmergingPattern]]:
        """What is emerging, and the place in history at which that is so.

        From the events alone, as subscribers know it: a renewal that is no news is not among them.
        """
        async with self._database.transaction(read_only=True) as connection:
            history = _history((await connection.fetch(_HISTORY))[0])
            return history, await _shown_at(connection, history.sequence)

    async def events_after(
        self, sequence: int, limit: int
    ) -> tuple[FeedHistory, Sequence[FeedEvent]]:
        """The events that follow, oldest first, and how far history reached when they were read."""
        async with self._database.connection() as connection:
            # One statement sees one snapshot: were these trimmed, `trimmed_sequence` tells it.
            rows = await connection.fetch(
                f"""
                SELECT h.*, e.sequence AS event, e.change, e.state
                  FROM ({_HISTORY}) h
                  LEFT JOIN LATERAL (
                    SELECT sequence, change, state FROM emerging_events
                     WHERE sequence > $1 ORDER BY sequence LIMIT $2) e ON true
                 ORDER BY e.sequence
                """,  # noqa: S608 - a constant
                sequence,
                limit,
            )
        events = [
            FeedEvent(row["event"], Change(row["change"]), from_json(row["state"]))
            for row in rows
            if row["event"] is not None
        ]
        return _history(rows[0]), events

    async def shown_at(self, sequence: int) -> Sequence[EmergingPattern]:
        """What was emerging after this event. Not complete where history is trimmed beyond it."""
        async with self._database.connection() as connection:
            return await _shown_at(connection, sequence)

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
           -- The last events may be trimmed while older ones, which tell what is shown, are kept.
           greatest((SELECT max(sequence) FROM emerging_events), trimmed_sequence) AS sequence
      FROM emerging_history
"""


def _history(row: Any) -> FeedHistory:
    epoch: UUID = row["epoch"]
    return FeedHistory(epoch, row["sequence"], row["trimmed_sequence"])


async def _shown_at(connection: Connection, sequence: int) -> Sequence[EmergingPattern]:
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
