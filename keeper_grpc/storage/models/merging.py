"""Merging one pattern into another of its scope that says the same."""

from __future__ import annotations

from uuid import UUID

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.domain.patterns.pattern import PatternKey
from keeper_grpc.domain.patterns.position import mean_direction
from keeper_grpc.storage.archives.advice import move_advice
from keeper_grpc.storage.archives.parts import move_parts
from keeper_grpc.storage.database import Connection, to_array
from keeper_grpc.storage.evidence.recount import recount
from keeper_grpc.storage.patterns.centres import put_action, put_pattern
from keeper_grpc.storage.patterns.deletion import delete_pattern
from keeper_grpc.storage.patterns.versions import reset


async def merge_pattern(
    connection: Connection, gone: PatternKey, into: UUID, counting: Counting
) -> None:
    """Move everything that is known of `gone` to `into`, another pattern of its scope, and delete it.

    Within the caller's transaction, which owns their scope. What was withdrawn from either stays withdrawn. The
    evidence is counted again from the ledger, so it is what a rebuild would find.
    """
    stays = PatternKey(gone.scope_id, into)
    await connection.execute(
        """
        SELECT 1 FROM network_patterns WHERE scope_id = $1 AND id = ANY($2::uuid[])
         ORDER BY id FOR UPDATE
        """,
        gone.scope_id,
        [gone.pattern_id, into],
    )
    await _join_centres(connection, gone, stays)
    for statement in (
        "UPDATE observations SET pattern_id = $3 WHERE scope_id = $1 AND pattern_id = $2",
        """
        UPDATE emerging_patterns
           SET promoted_pattern_id = CASE promoted_pattern_id WHEN $2 THEN $3 ELSE promoted_pattern_id END,
               fading_pattern_id = CASE fading_pattern_id WHEN $2 THEN $3 ELSE fading_pattern_id END
         WHERE $1::bigint IS NOT NULL AND (promoted_pattern_id = $2 OR fading_pattern_id = $2)
        """,
        """
        UPDATE network_patterns SET worded_from = $3
         WHERE worded_from_scope_id = $1 AND worded_from = $2 AND id <> $3
        """,
        "UPDATE merged_patterns SET into_id = $3 WHERE scope_id = $1 AND into_id = $2",
        "INSERT INTO merged_patterns (scope_id, pattern_id, into_id) VALUES ($1, $2, $3)",
        """
        INSERT INTO withdrawn_scripts (scope_id, pattern_id, template_hash, withdrawn_time)
        SELECT scope_id, $3, template_hash, withdrawn_time FROM withdrawn_scripts
         WHERE scope_id = $1 AND pattern_id = $2
        ON CONFLICT DO NOTHING
        """,
    ):
        await connection.execute(statement, *gone, into)
    await move_parts(connection, gone, stays)
    await _move_advice(connection, gone, stays)
    worded = await delete_pattern(connection, gone)
    await recount(connection, [stays], counting)
    await reset(connection, {gone.scope_id, *worded})


async def _join_centres(connection: Connection, gone: PatternKey, stays: PatternKey) -> None:
    """The mean direction of all observations of both."""
    rows = {
        row["id"]: row
        for row in await connection.fetch(
            """
            SELECT p.id, p.pattern_embedding, p.embedding_weight, a.action_embedding, a.action_weight
              FROM network_patterns p
              JOIN pattern_actions a ON a.scope_id = p.scope_id AND a.pattern_id = p.id
             WHERE p.scope_id = $1 AND p.id = ANY($2::uuid[])
            """,
            gone.scope_id,
            [gone.pattern_id, stays.pattern_id],
        )
    }
    here, there = rows[stays.pattern_id], rows[gone.pattern_id]
    await put_pattern(
        connection,
        stays,
        *mean_direction(
            to_array(here["pattern_embedding"]),
            here["embedding_weight"],
            to_array(there["pattern_embedding"]) * there["embedding_weight"],
        ),
    )
    await put_action(
        connection,
        stays,
        *mean_direction(
            to_array(here["action_embedding"]),
            here["action_weight"],
            to_array(there["action_embedding"]) * there["action_weight"],
        ),
    )


async def _move_advice(connection: Connection, gone: PatternKey, stays: PatternKey) -> None:
    """Questions that the one answered were answered by the other, also in the metrics."""
    categories = [
        row["business_category"]
        for row in await connection.fetch(
            "SELECT business_category FROM pattern_advice WHERE scope_id = $1 AND pattern_id = $2",
            *gone,
        )
    ]
    await connection.execute(
        "UPDATE enhancements SET pattern_id = $3 WHERE advised_scope_id = $1 AND pattern_id = $2",
        *gone,
        stays.pattern_id,
    )
    await connection.execute(
        """
        WITH moved AS (
            DELETE FROM rolled_advice WHERE scope_id = $1 AND pattern_id = $2 RETURNING *
        )
        INSERT INTO rolled_advice AS r (
            account_key, scope_id, pattern_id, business_category, measured, first_time, last_time, last_outcome_time,
            revenue, outcomes, successes, expected, variance, deviation)
        SELECT account_key, scope_id, $3, business_category, measured, first_time, last_time, last_outcome_time,
               revenue, outcomes, successes, expected, variance, deviation FROM moved
        ON CONFLICT (account_key, scope_id, pattern_id, business_category, measured) DO UPDATE
           SET first_time = least(r.first_time, excluded.first_time), last_time = greatest(r.last_time, excluded.last_time),
               last_outcome_time = greatest(r.last_outcome_time, excluded.last_outcome_time),
               revenue = r.revenue + excluded.revenue, outcomes = r.outcomes + excluded.outcomes,
               successes = r.successes + excluded.successes, expected = r.expected + excluded.expected,
               variance = r.variance + excluded.variance, deviation = r.deviation + excluded.deviation
        """,
        *gone,
        stays.pattern_id,
    )
    await move_advice(connection, gone, stays)
    if not categories:
        return
    await connection.execute(
        """
        INSERT INTO pattern_advice (scope_id, pattern_id, business_category, first_advised_time)
        SELECT scope_id, $3, business_category, first_advised_time FROM pattern_advice
         WHERE scope_id = $1 AND pattern_id = $2
        ON CONFLICT DO NOTHING
        """,
        *gone,
        stays.pattern_id,
    )
    await connection.execute(
        "SELECT recount_advice($1::bigint[], $2::uuid[], $3::text[])",
        [stays.scope_id] * len(categories),
        [stays.pattern_id] * len(categories),
        categories,
    )
