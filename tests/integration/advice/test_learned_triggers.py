from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from keeper_grpc.domain.advice.learned_trigger import LearnedTrigger
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.storage.advice.learned_triggers import PostgresTriggers
from keeper_grpc.storage.advice.suggestions import PostgresMoves
from keeper_grpc.storage.database import Database
from keeper_grpc.usecases.advice.learn_triggers import LearnTriggers
from tests.integration.observations import (
    MODEL,
    capture,
    groups_of,
    observation,
    opened,
    register,
    scope,
    vector,
)

DAYS = ("0-7", "8-14", "15-30", "31-60", "61-90", "91-180", "181+")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def history(database: Database, kind: str, planted: float) -> UUID:
    """A pattern of 16 owners; in the ledger it works so much more often from 61 days on."""
    owners = [f"{kind}-{number}" for number in range(16)]
    await register(database, *owners)
    for owner in owners:
        pattern_id = await capture(groups_of(database), observation(scope(kind), owner), vector(7))
    luck = Random(4)  # noqa: S311 - a history, not a secret
    drawn = [(owner, luck.choice(DAYS)) for owner in owners for _ in range(40)]
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO embedding_space (model, recipe) VALUES ($1, '{}') ON CONFLICT DO NOTHING",
            MODEL,
        )
        columns: list[str] = [
            row[0]
            for row in await connection.fetch(
                """
                SELECT column_name FROM information_schema.columns
                 WHERE table_name = 'observations' AND is_generated = 'NEVER'
                   AND column_name NOT IN ('id', 'context', 'success')
                """
            )
        ]
        copied = ", ".join(columns)
        await connection.executemany(
            f"""
            INSERT INTO observations (id, context, success, {copied})
            SELECT gen_random_uuid(), $2, $3, {copied} FROM observations
             WHERE account_key = $1 AND pattern_id = $4 LIMIT 1
            """,  # noqa: S608 - names of columns
            [
                (
                    owner,
                    {"days_since_visit": days},
                    luck.random() < 0.45 + planted * (days in DAYS[4:]),
                    pattern_id,
                )
                for owner, days in drawn
            ],
        )
    return pattern_id


def learning(database: Database, now: datetime) -> LearnTriggers:
    """The background job, which a test calls."""
    return LearnTriggers(
        store=PostgresTriggers(database),
        rule=PublicationRule(3),
        interval=timedelta(minutes=10),
        clock=lambda: now,
    )


async def in_use(database: Database) -> list[LearnedTrigger]:
    """The triggers that a question in the category meets."""
    moves = PostgresMoves(database, half_life=timedelta(days=45), clock=lambda: NOON)
    return list(await moves.learned("spa"))


async def test_triggers_are_learned_and_retired_by_outcomes(database_url: str) -> None:
    """What the ledger bears is used; with outcomes that no longer bear it, it is not."""
    async with opened(database_url) as database:
        pattern_id = await history(database, "bears_out", planted=0.5)
        assert await learning(database, NOON)() >= 1
        learned = await in_use(database)
        assert await learning(database, NOON + timedelta(hours=1))() == 0
        again = await in_use(database)
        async with database.transaction() as connection:
            await connection.execute(
                "UPDATE observations SET success = hashtext(id::text) % 2 = 0 WHERE pattern_id = $1",
                pattern_id,
            )
            await connection.execute(
                "UPDATE observations SET success = false WHERE pattern_id = $1"
                " AND context->>'days_since_visit' IN ('61-90', '91-180', '181+')",
                pattern_id,
            )
        assert await learning(database, NOON + timedelta(hours=2))() >= 1
        turned = await in_use(database)
    assert {each.key.pattern_id for each in learned} == {pattern_id}
    assert any(each.holds({"days_since_visit": "181+"}) for each in learned)
    assert all(each.figures.lift > 1 and each.figures.owners > 3 for each in learned)
    assert again == learned
    assert not any(each.holds({"days_since_visit": "181+"}) for each in turned)


async def test_forgotten_patterns_leave_no_triggers(database_url: str) -> None:
    """A trigger goes with its pattern."""
    async with opened(database_url) as database:
        pattern_id = await history(database, "gone", planted=0.5)
        await learning(database, NOON + timedelta(days=1))()
        assert pattern_id in {each.key.pattern_id for each in await in_use(database)}
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM observations WHERE pattern_type = 'gone'")
            await connection.execute("DELETE FROM network_patterns WHERE pattern_type = 'gone'")
        left = await in_use(database)
    assert pattern_id not in {each.key.pattern_id for each in left}
