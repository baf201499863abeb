from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import numpy as np
import pytest

from keeper_grpc.storage.database import Database
from keeper_grpc.storage.embedding_cache import PostgresVectors
from keeper_grpc.storage.locks import AdvisoryLock, lock
from keeper_grpc.storage.retention.aged import aged_rows
from keeper_grpc.storage.retention.questions import OldQuestions
from keeper_grpc.storage.retention.sizes import PostgresSizes
from keeper_grpc.storage.retention.vectors import SpareVectors
from keeper_grpc.storage.retention.words import RareWords
from keeper_grpc.storage.schema.distribution import PLACES
from keeper_grpc.usecases.retention.keep_bounds import Bounded, KeepBounds
from tests.integration.metrics.ledger import Ledger
from tests.integration.observations import opened

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ASKED = {"held_out": False, "base": 0.5, "expected": 0.7, "deviation": 0.1}
SPA = {"key": "test:spa", "category": "spa"}
GYM = {"key": "test:gym", "category": "gym"}


@pytest.fixture
async def database(database_of_its_own: str) -> AsyncIterator[Database]:
    """A pool on the test's database."""
    async with opened(database_of_its_own) as pool:
        yield pool


@pytest.fixture
async def ledger(database_of_its_own: str) -> AsyncIterator[Ledger]:
    """The test's database, with an account in each of two lines of business."""
    connection = await asyncpg.connect(database_of_its_own)
    try:
        for account in (SPA, GYM):
            await Ledger(connection).account(account["key"], account["category"], NOW)
        yield Ledger(connection)
    finally:
        await connection.close()


def keeping(*bounded: Bounded) -> KeepBounds:
    """The use case at the tests' time."""
    return KeepBounds(bounded, interval=DAY, clock=lambda: NOW)


async def ids(ledger: Ledger, table: str = "enhancements") -> Sequence[object]:
    """What is there."""
    return [row["id"] for row in await ledger.connection.fetch(f"SELECT id FROM {table}")]  # noqa: S608 - a constant


async def test_only_old_questions_that_nobody_reported_on_go(
    ledger: Ledger, database: Database
) -> None:
    """Those with an outcome or a reaction belong to the ledger; a second look passes them over."""
    old, new = {"at": NOW - 91 * DAY}, {"at": NOW - 89 * DAY}
    await ledger.enhancement(SPA, None, ASKED | old)
    reported = await ledger.enhancement(SPA, None, ASKED | old)
    outcome = {"success": True, "revenue": None, "retained": None, "at": NOW}
    await ledger.observation(SPA, outcome, pattern=None, enhancement=reported)
    reacted = await ledger.enhancement(SPA, None, ASKED | old)
    await ledger.connection.execute(
        """
        INSERT INTO reactions (scope_id, account_key, enhancement_id, reaction, recorded_time)
        SELECT scope_id, account_key, id, 'shown', created_at FROM enhancements WHERE id = $1
        """,
        reacted,
    )
    recent = await ledger.enhancement(SPA, None, ASKED | new)
    keep = keeping(OldQuestions(database, 90 * DAY))
    assert await keep() == {"questions": 3}
    assert set(await ids(ledger)) == {reported, reacted, recent}
    assert await keep() == {}
    assert await ledger.connection.fetchval("SELECT rebuild_measures()") == 0


async def test_a_batch_waits_for_nobody_and_lets_nobody_wait(
    ledger: Ledger, database: Database
) -> None:
    """What an account in use has asked is left to a later look, and the others' questions go."""
    for account in (SPA, GYM):
        await ledger.enhancement(account, None, ASKED | {"at": NOW - 91 * DAY})
    keep = keeping(OldQuestions(database, 90 * DAY))
    async with ledger.connection.transaction():
        await ledger.connection.execute("SELECT own_reactions(ARRAY[$1])", SPA["key"])
        assert await keep() == {"questions": 1}
    assert await keep() == {"questions": 1}
    assert await ids(ledger) == []


async def test_one_process_at_a_time_keeps_the_bounds(ledger: Ledger, database: Database) -> None:
    """While one is at a batch another has nothing to do."""
    await ledger.enhancement(SPA, None, ASKED | {"at": NOW - 91 * DAY})
    keep = keeping(OldQuestions(database, 90 * DAY))
    async with ledger.connection.transaction():
        await lock(ledger.connection, AdvisoryLock.RETENTION)
        assert await keep() == {}
    runs = await asyncio.gather(keep(), keep(), keep())
    assert sum(run.get("questions", 0) for run in runs) == 1


async def test_the_least_recently_used_vectors_go(ledger: Ledger, database: Database) -> None:
    """A look at a vector makes it a recent one; the number that is kept is exact."""
    vectors = PostgresVectors(database)
    row = np.full(1536, 1536**-0.5, np.float32)
    keys = [bytes([n]) * 32 for n in range(4)]
    await vectors.put("m", dict.fromkeys(keys, row))
    await ledger.connection.execute("UPDATE embedding_cache SET used_day = used_day - 9")
    assert set(await vectors.get("m", keys[:1])) == {keys[0]}
    await ledger.connection.execute(
        "UPDATE embedding_cache SET used_day = used_day + 1 WHERE content_hash = $1", keys[3]
    )
    keep = keeping(SpareVectors(database, 2))
    assert await keep() == {"vectors": 2}
    assert keep.rows == {"vectors": 2}
    assert set(await vectors.get("m", keys)) == {keys[0], keys[3]}


async def test_requests_revisions_and_the_audit_have_their_time(
    ledger: Ledger, database: Database
) -> None:
    """Each goes when it is older than its own retention, and not before."""
    await ledger.connection.execute(
        """
        INSERT INTO outcome_requests
        SELECT 'test:spa', gen_random_uuid(), '', 1, gen_random_uuid(), false, $1::timestamptz - n * interval '1 day'
          FROM generate_series(1, 20) n
        """,
        NOW,
    )
    await ledger.connection.execute(
        """
        INSERT INTO reaction_requests
        SELECT 'test:spa', gen_random_uuid(), '', $1::timestamptz - n * interval '1 day' FROM generate_series(1, 20) n
        """,
        NOW,
    )
    await ledger.connection.execute(
        """
        INSERT INTO audit_events (id, action, details, created_at)
        SELECT gen_random_uuid(), 'retire', '{}', $1::timestamptz - n * interval '1 day' FROM generate_series(1, 20) n
        """,
        NOW,
    )
    taken = await keeping(*aged_rows(database, requests=10 * DAY, audit=15 * DAY))()
    assert taken == {"outcome_requests": 10, "reaction_requests": 10, "audit_events": 5}


async def test_uses_of_rare_words_go_and_those_that_approve_a_word_stay(
    ledger: Ledger, database: Database
) -> None:
    """Below k owners, undecided and old: all three. What k owners use passes the anonymizer by these rows."""
    await ledger.connection.execute(
        """
        INSERT INTO word_accounts (account_key, word_hash, first_used_time)
        VALUES ('test:spa', 'rare', $1), ('test:gym', 'rare_and_recent', $2),
               ('test:spa', 'shared', $1), ('test:gym', 'shared', $1), ('test:spa', 'decided', $1)
        """,
        NOW - 11 * DAY,
        NOW - 9 * DAY,
    )
    await ledger.connection.execute(
        "INSERT INTO word_decisions (word_hash, approved, decided_time) VALUES ('decided', false, $1)",
        NOW,
    )
    keep = keeping(RareWords(database, 10 * DAY, k=2))
    assert await keep() == {"words": 1}
    assert await keep() == {}
    assert await ledger.connection.fetchval(
        "SELECT array_agg(DISTINCT word_hash ORDER BY word_hash) FROM word_accounts"
    ) == ["decided", "rare_and_recent", "shared"]


async def test_sizes_are_of_every_table(database: Database) -> None:
    """With their indexes: an empty table takes some pages too."""
    sizes = await PostgresSizes(database).sizes()
    assert set(sizes) == set(PLACES)
    assert min(sizes.values()) >= 8192
