from __future__ import annotations

from uuid import uuid4

from keeper_grpc.domain.evidence.recounting import Recounted
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.evidence.rebuild import PostgresRebuild
from tests.integration.observations import (
    COUNTING,
    capture,
    groups_of,
    observation,
    opened,
    register,
    scope,
    vector,
)

KIND = "recounted_together"


async def damaged(database: Database) -> tuple[PatternKey, PatternKey]:
    """Two patterns of one scope, of two observations and of one, without the rows of their evidence."""
    ids = []
    for place, accounts in ((0, ("one", "two")), (1, ("one",))):
        for account in accounts:
            await register(database, f"{KIND}-{account}")
            made = await capture(
                groups_of(database), observation(scope(KIND), f"{KIND}-{account}"), vector(place)
            )
        ids.append(PatternKey(scope(KIND).scope_id, made))
    async with database.transaction() as connection:
        await connection.execute(
            "DELETE FROM pattern_accounts WHERE pattern_id = ANY($1::uuid[])",
            [key.pattern_id for key in ids],
        )
    return ids[0], ids[1]


async def test_a_pattern_that_is_gone_keeps_nothing_from_the_others(database_url: str) -> None:
    """A part of which one pattern was forgotten meanwhile is recounted without it; what each observed stays apart."""
    async with opened(database_url) as database:
        first, second = await damaged(database)
        gone = PatternKey(first.scope_id, uuid4())
        recounted = await PostgresRebuild(database).recount([first, gone, second], COUNTING)
        assert recounted == Recounted(patterns=2, observations=3)
        assert await PostgresRebuild(database).recount([gone], COUNTING) == Recounted(0, 0)
        async with database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT p.id, p.account_count, (SELECT sum(a.occurrence_count) FROM pattern_accounts a
                                                WHERE a.scope_id = p.scope_id AND a.pattern_id = p.id) AS shares
                  FROM network_patterns p WHERE p.scope_id = $1
                """,
                first.scope_id,
            )
    assert {tuple(row) for row in rows} == {(first.pattern_id, 2, 2), (second.pattern_id, 1, 1)}
