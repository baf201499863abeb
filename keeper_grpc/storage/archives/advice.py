"""What stays of archived advice, when its pattern becomes another one."""

from __future__ import annotations

from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.storage.database import Connection


async def move_advice(connection: Connection, gone: PatternKey, stays: PatternKey) -> None:
    """Let what was archived of advice of one pattern be of another of its scope, which the caller owns.

    Patterns that contended stay those that contended: the one that is gone was drawn by its own chance.
    """
    await connection.execute(
        "UPDATE archived_reactions SET pattern_id = $3 WHERE advised_scope_id = $1 AND pattern_id = $2",
        *gone,
        stays.pattern_id,
    )
    await connection.execute(
        """
        WITH moved AS (
            DELETE FROM archived_transfers WHERE advised_scope_id = $1 AND pattern_id = $2 RETURNING *
        )
        INSERT INTO archived_transfers AS t
        SELECT scope_id, account_key, business_category, advised_category, advised_scope_id, $3, trials, expected,
               successes
          FROM moved
        ON CONFLICT (account_key, scope_id, advised_scope_id, pattern_id, advised_category) DO UPDATE
           SET trials = t.trials + excluded.trials, expected = t.expected + excluded.expected,
               successes = t.successes + excluded.successes
        """,
        *gone,
        stays.pattern_id,
    )
    await connection.execute(
        """
        WITH moved AS (
            DELETE FROM archived_choices WHERE pattern_id = $1 AND script IS NOT NULL RETURNING *
        )
        INSERT INTO archived_choices AS c (
            account_key, pattern_id, script, choices, weight, squares, good, excess, expected, chosen)
        SELECT account_key, $2, script, choices, weight, squares, good, excess, expected, chosen FROM moved
        ON CONFLICT (account_key, pattern_id, md5(coalesce('=' || script, ''))) DO UPDATE
           SET choices = c.choices + excluded.choices, weight = c.weight + excluded.weight,
               squares = c.squares + excluded.squares, good = c.good + excluded.good,
               excess = c.excess + excluded.excess, expected = c.expected + excluded.expected,
               chosen = c.chosen + excluded.chosen
        """,
        gone.pattern_id,
        stays.pattern_id,
    )
