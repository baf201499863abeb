"""Triggers that were learned, and the outcomes that they are learned from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from keeper_grpc.domain.advice.learned_trigger import Condition, LearnedTrigger, TriggerFigures
from keeper_grpc.domain.advice.trigger_mining import Case
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection, Database
from keeper_grpc.storage.evidence.publication import published
from keeper_grpc.storage.locks import AdvisoryLock, try_lock
from keeper_grpc.storage.patterns.holding import keep_patterns

if TYPE_CHECKING:
    from asyncpg import Record

MOST_PATTERNS = 2_000
"""Patterns of which triggers are learned, those of most outcomes."""

MOST_CASES = 200
"""Outcomes of an owner and a pattern, the latest."""

KEPT = timedelta(days=90)
"""How long a trigger that was retired can be looked up."""


class PostgresTriggers:
    """The tables of usecases/advice/learn_triggers.py."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cases(
        self, rule: PublicationRule
    ) -> AsyncIterator[tuple[PatternKey, Sequence[Case]]]:
        async with self._database.connection() as connection:
            patterns = await connection.fetch(
                f"""
                SELECT p.scope_id, p.id FROM network_patterns p
                 WHERE {published("p", "$1")} AND p.account_count >= 2 * ($1 + 1)
                   AND p.embedding_model = (SELECT model FROM embedding_space)
                 ORDER BY p.occurrence_count DESC, p.id LIMIT $2
                """,  # noqa: S608 - only constants are interpolated
                rule.k,
                MOST_PATTERNS,
            )
        for scope_id, pattern_id in patterns:
            async with self._database.connection() as connection:
                rows = await connection.fetch(
                    """
                    SELECT o.owner_key, o.context, o.success, o.occurred_time - e.created_at AS lead_time
                      FROM (SELECT o.*, a.owner_key, row_number() OVER (
                                       PARTITION BY a.owner_key ORDER BY o.occurred_time DESC, o.id) AS place
                              FROM observations o JOIN accounts a USING (account_key)
                             WHERE o.scope_id = $1 AND o.pattern_id = $2 AND o.counted AND a.qualified) o
                      LEFT JOIN enhancements e ON e.scope_id = o.scope_id AND e.id = o.enhancement_id
                     WHERE o.place <= $3
                    """,
                    scope_id,
                    pattern_id,
                    MOST_CASES,
                )
            yield PatternKey(scope_id, pattern_id), [_case(row) for row in rows]

    async def known_triggers(self) -> set[tuple[PatternKey, tuple[Condition, ...]]]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT scope_id, pattern_id, conditions FROM learned_triggers
                 WHERE retired_time IS NULL
                """
            )
        return {(PatternKey(row[0], row[1]), _conditions(row["conditions"])) for row in rows}

    async def keep(self, triggers: Sequence[LearnedTrigger], now: datetime) -> int:
        async with self._database.transaction() as connection:
            if not await try_lock(connection, AdvisoryLock.PRIORS):
                return 0
            changed = await _use(connection, triggers, now)
            changed += await _retire(connection, now)
            await connection.execute(
                "DELETE FROM learned_triggers WHERE retired_time < $1", now - KEPT
            )
        return changed


async def _use(connection: Connection, triggers: Sequence[LearnedTrigger], now: datetime) -> int:
    """Write these triggers; how many are new. A pattern that is gone by now has none."""
    changed = 0
    for trigger in sorted(triggers, key=lambda each: (each.key.pattern_id, each.text)):
        figures = trigger.figures
        conditions = [[each.key, each.relation, each.value] for each in trigger.conditions]
        if not await keep_patterns(connection, [trigger.key]):
            continue
        in_use: bool | None = await connection.fetchval(
            """
            SELECT retired_time IS NULL FROM learned_triggers
             WHERE scope_id = $1 AND pattern_id = $2 AND conditions = $3
            """,
            *trigger.key,
            conditions,
        )
        await connection.execute(
            """
            INSERT INTO learned_triggers (scope_id, pattern_id, conditions, success_rate, rate_low, rate_high,
                   lift, trials, owner_count, lead_days, learned_time, verified_time)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
            ON CONFLICT (scope_id, pattern_id, conditions) DO UPDATE
               SET success_rate = excluded.success_rate, rate_low = excluded.rate_low,
                   rate_high = excluded.rate_high, lift = excluded.lift, trials = excluded.trials,
                   owner_count = excluded.owner_count, lead_days = excluded.lead_days,
                   verified_time = excluded.verified_time, retired_time = NULL
            """,
            *trigger.key,
            conditions,
            figures.precision,
            figures.low,
            figures.high,
            figures.lift,
            figures.trials,
            figures.owners,
            None if figures.lead_time is None else figures.lead_time.days,
            now,
        )
        changed += not in_use
    return changed


async def _retire(connection: Connection, now: datetime) -> int:
    """Retire what was not verified now; how many."""
    retired = await connection.fetch(
        """
        UPDATE learned_triggers SET retired_time = $1
         WHERE retired_time IS NULL AND verified_time < $1 RETURNING 1
        """,
        now,
    )
    return len(retired)


async def learned_of_category(
    connection: Connection, business_category: str
) -> Sequence[LearnedTrigger]:
    """The triggers in use of a category's patterns."""
    rows = await connection.fetch(
        """
        SELECT t.* FROM learned_triggers t
          JOIN network_patterns p ON p.scope_id = t.scope_id AND p.id = t.pattern_id
         WHERE p.business_category = $1 AND p.retired_time IS NULL AND t.retired_time IS NULL
           AND p.embedding_model = (SELECT model FROM embedding_space)
         ORDER BY t.pattern_id, t.conditions
        """,
        business_category,
    )
    return [_trigger(row) for row in rows]


async def learned_of_pattern(connection: Connection, key: PatternKey) -> Sequence[LearnedTrigger]:
    """The triggers in use of one pattern, the one that surely reaches most first."""
    rows = await connection.fetch(
        """
        SELECT * FROM learned_triggers
         WHERE scope_id = $1 AND pattern_id = $2 AND retired_time IS NULL
         ORDER BY rate_low DESC, conditions
        """,
        *key,
    )
    return [_trigger(row) for row in rows]


def _trigger(row: Record) -> LearnedTrigger:
    return LearnedTrigger(
        PatternKey(row["scope_id"], row["pattern_id"]),
        _conditions(row["conditions"]),
        TriggerFigures(
            precision=row["success_rate"],
            low=row["rate_low"],
            high=row["rate_high"],
            lift=row["lift"],
            trials=row["trials"],
            owners=row["owner_count"],
            lead_time=None if row["lead_days"] is None else timedelta(days=row["lead_days"]),
        ),
    )


def _case(row: Record) -> Case:
    return Case(row["owner_key"], row["context"], row["success"], row["lead_time"])


def _conditions(stored: Sequence[tuple[str, str, str | float | bool]]) -> tuple[Condition, ...]:
    return tuple(Condition(*each) for each in stored)
