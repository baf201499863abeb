"""The feed's reads of the emerging-pattern tables: snapshots, events, notifications."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from keeper_grpc.domain.emerging.model import (
    Change,
    EmergingPattern,
    FeedEvent,
    FeedHistory,
    Place,
)
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.emerging.rows import EVENTS_CHANNEL, from_json
from keeper_grpc.storage.listening import PostgresWakeups, listening
from keeper_grpc.storage.replica import Reads

SHOWN = [Change.NEW.value, Change.UPDATED.value]
"""Changes after which a cluster is emerging."""


class PostgresEmergingFeed:
    """Reads the events that the leader wrote."""

    def __init__(self, database: Database, reads: Reads | None = None) -> None:
        """Snapshots are of `reads` where there are some, which may be a standby: what came since is read as events."""
        self._database = database
        self._reads: Reads = reads or database

    async def snapshot(self) -> tuple[FeedHistory, Sequence[EmergingPattern]]:
        """The current emerging patterns, and the position in history of this state.

        Built from the events alone, so it equals what subscribers have received: renewals without an
        event are not included.
        """
        async with self._reads.transaction(read_only=True) as connection:
            row = (await connection.fetch(_HISTORY))[0]
            history = FeedHistory(row["epoch"], Place(row["sequence"], row["tag"]))
            shown = await connection.fetch(_SHOWN_NOW, SHOWN)
        return history, [from_json(row["state"]) for row in shown]

    async def events_after(
        self, epoch: UUID, place: Place, limit: int
    ) -> Sequence[FeedEvent] | None:
        """The events after a position, oldest first; None if the history does not have the position.

        It may be trimmed, or belong to another history or to events that a restore has undone.
        """
        async with self._database.connection() as connection:
            # One statement sees one snapshot, so trimming cannot remove events in between.
            rows = await connection.fetch(
                f"""
                SELECT e.* FROM (SELECT FROM emerging_history h WHERE {_has_place("$2", "$3")}) h
                  LEFT JOIN LATERAL (
                    SELECT sequence, tag, change, state FROM emerging_events
                     WHERE sequence > $2 ORDER BY sequence LIMIT $4) e ON true
                 ORDER BY e.sequence
                """,  # noqa: S608 - a constant
                epoch,
                place.sequence,
                place.tag,
                limit,
            )
        if not rows:
            return None
        return [
            FeedEvent(
                Place(row["sequence"], row["tag"]), Change(row["change"]), from_json(row["state"])
            )
            for row in rows
            if row["sequence"] is not None
        ]

    async def before(
        self, epoch: UUID, place: Place, now: Place
    ) -> Mapping[UUID, EmergingPattern | None] | None:
        """The state at `place` of each cluster with an event after `place` and up to `now`.

        The value is None for a cluster that was not emerging; the result is None if the history does
        not have both positions, in this order.
        """
        async with self._database.connection() as connection:
            # Reads only changed clusters. Retention keeps the last event of each cluster that was shown at a
            # position that is not trimmed.
            rows = await connection.fetch(
                f"""
                SELECT c.emerging_pattern_id, last.change, last.state
                  FROM (SELECT FROM emerging_history h
                         WHERE {_has_place("$2", "$3")} AND {_has_place("$4", "$5")}) h
                 CROSS JOIN (
                    SELECT DISTINCT emerging_pattern_id FROM emerging_events
                     WHERE sequence > $2 AND sequence <= $4) c
                  LEFT JOIN LATERAL (
                    SELECT change, state FROM emerging_events e
                     WHERE e.emerging_pattern_id = c.emerging_pattern_id AND e.sequence <= $2
                     ORDER BY e.sequence DESC LIMIT 1) last ON true
                """,  # noqa: S608 - constants
                epoch,
                place.sequence,
                place.tag,
                now.sequence,
                now.tag,
            )
        # The events up to `now` exist if the position does, so no row means no such position.
        if not rows:
            return None
        return {
            row["emerging_pattern_id"]: from_json(row["state"]) if row["change"] in SHOWN else None
            for row in rows
        }

    @asynccontextmanager
    async def wakeups(self) -> AsyncIterator[PostgresWakeups]:
        """Listen for the leader's notifications on a separate connection."""
        async with listening(self._database, EVENTS_CHANNEL) as (_, wakeups):
            yield wakeups


_HISTORY = """
    SELECT h.epoch, last.sequence, last.tag
      FROM emerging_history h CROSS JOIN LATERAL (
        -- The last events may be trimmed while older ones, which tell what is shown, are kept.
        SELECT h.trimmed_sequence AS sequence, h.trimmed_tag AS tag
        UNION ALL
        (SELECT sequence, tag FROM emerging_events
          WHERE sequence > h.trimmed_sequence ORDER BY sequence DESC LIMIT 1)
        ORDER BY sequence DESC LIMIT 1) last
"""


def _has_place(sequence: str, tag: str) -> str:
    """A condition on row h of emerging_history: it is history $1 and has this position."""
    return f"""
        h.epoch = $1
        AND CASE WHEN h.trimmed_sequence = {sequence} THEN h.trimmed_tag = {tag}
                 ELSE h.trimmed_sequence < {sequence}
                      AND EXISTS (SELECT FROM emerging_events e
                                   WHERE e.sequence = {sequence} AND e.tag = {tag}) END
    """


# The last kept event of each cluster, by descending id: one index lookup a cluster, however many events
# there are.
_SHOWN_NOW = """
    WITH RECURSIVE last AS (
        (SELECT emerging_pattern_id, change, state FROM emerging_events
          ORDER BY emerging_pattern_id DESC, sequence DESC LIMIT 1)
        UNION ALL
        SELECT e.* FROM last CROSS JOIN LATERAL (
            SELECT emerging_pattern_id, change, state FROM emerging_events
             WHERE emerging_pattern_id < last.emerging_pattern_id
             ORDER BY emerging_pattern_id DESC, sequence DESC LIMIT 1) e)
    SELECT state FROM last WHERE change = ANY ($1)
"""
