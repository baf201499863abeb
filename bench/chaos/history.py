"""The history of emerging patterns: what a stream tells of it, and what the table has."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern

SEQUENCE = 3
"""The field of a token that is the place in history (docs/streams.md)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change, by its place in history."""

    sequence: int
    emerging_pattern_id: str
    pattern_type: str
    change: str
    account_count: int
    sighting_count: int


def told(message: EmergingPattern, token: str) -> Event:
    """The event of a message that came with this token."""
    return Event(
        int(token.split(".")[SEQUENCE]),
        message.emerging_pattern_id,
        message.pattern_type,
        EmergingPattern.Change.Name(message.change).removeprefix("CHANGE_").lower(),
        message.account_count,
        message.sighting_count,
    )


async def written(connection: asyncpg.Connection) -> list[Event]:
    """Every row of the table of events."""
    rows = await connection.fetch(
        """
        SELECT sequence, emerging_pattern_id::text, change, state->>'pattern_type' AS pattern_type,
               (state->>'account_count')::integer AS account_count,
               (state->>'sighting_count')::integer AS sighting_count
          FROM emerging_events ORDER BY sequence
        """
    )
    return [Event(**dict(row)) for row in rows]
