"""Events of emerging patterns, made without a detector: what its leader would have written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from keeper_grpc.domain.emerging.model import Change, EmergingPattern, Place
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.emerging.rows import EVENTS_CHANNEL, to_json

if TYPE_CHECKING:
    import random

    import asyncpg

SEEN = datetime(2026, 11, 1, tzinfo=UTC)


def cluster(number: int, **fields: Any) -> EmergingPattern:
    """Cluster number so and so; fields that are not given are the same for all."""
    return EmergingPattern(
        **{
            "emerging_pattern_id": UUID(int=number),
            "pattern_type": "made_of_events",
            "embedding_model": "none",
            "business_categories": ("spa",),
            "common_pattern": "When it rains, Offer a warm towel",
            "account_count": 3,
            "sighting_count": 3,
            "mean_similarity": 0.9,
            "mean_confidence": 0.5,
            "total_potential_value": 300.0,
            "first_seen_time": SEEN,
            "last_seen_time": SEEN + timedelta(hours=1),
            **fields,
        }
    )


def lives(rng: random.Random, count: int) -> list[tuple[Change, EmergingPattern]]:
    """Events as a detector makes them: what is shown is updated or ends, what is not emerges."""
    shown: set[int] = set()
    changes = []
    for number in range(count):
        which = rng.randrange(6)
        if which not in shown:
            change = Change.NEW
            shown.add(which)
        else:
            change = rng.choice([Change.UPDATED, Change.UPDATED, Change.FADED, Change.PROMOTED])
            if change is not Change.UPDATED:
                shown.discard(which)
        made = cluster(10**6 + which, pattern_type="lives", sighting_count=number)
        changes.append((change, made))
    return changes


async def insert(
    connection: Connection,
    *changes: tuple[Change, EmergingPattern],
    created: datetime | None = None,
) -> None:
    """Append events within a transaction."""
    await connection.executemany(
        """
        INSERT INTO emerging_events (emerging_pattern_id, change, state, created_at)
        VALUES ($1, $2, $3, $4)
        """,
        [
            (
                told.emerging_pattern_id,
                change.value,
                json.dumps(to_json(told)),
                created or datetime.now(UTC),
            )
            for change, told in changes
        ],
    )


async def tell(
    database: asyncpg.Pool[asyncpg.Record],
    *changes: tuple[Change, EmergingPattern],
    created: datetime | None = None,
    notify: bool = True,
) -> int:
    """Append events in one transaction, and wake the readers; the last one's sequence."""
    async with database.acquire() as connection, connection.transaction():
        await insert(connection, *changes, created=created)
        if notify:
            await connection.execute(f"NOTIFY {EVENTS_CHANNEL}")
        last: int = await connection.fetchval("SELECT max(sequence) FROM emerging_events")
    return last


async def trimmed_to(database: Database) -> tuple[UUID, Place]:
    """The history of a database, and the place where what is left of it begins."""
    async with database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT epoch, trimmed_sequence, trimmed_tag FROM emerging_history"
        )
    assert row is not None
    return row["epoch"], Place(row["trimmed_sequence"], row["trimmed_tag"])
