"""Merging one pattern into another that says the same."""

from __future__ import annotations

from uuid import UUID

from keeper_grpc.domain.evidence.counting import Counting
from keeper_grpc.storage.database import Connection, to_array
from keeper_grpc.storage.evidence.recount import recount
from keeper_grpc.storage.patterns.centres import mean_direction


async def merge_pattern(connection: Connection, gone: UUID, into: UUID, counting: Counting) -> None:
    """Move everything that is known of `gone` to `into`, and delete it.

    Within the caller's transaction, which owns their scope. What was withdrawn from either stays withdrawn. The
    evidence is counted again from the ledger, so it is what a rebuild would find.
    """
    await connection.execute(
        "SELECT 1 FROM network_patterns WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE",
        [gone, into],
    )
    await _join_centres(connection, gone, into)
    for statement in (
        "UPDATE observations SET pattern_id = $2 WHERE pattern_id = $1",
        "UPDATE emerging_patterns SET promoted_pattern_id = $2 WHERE promoted_pattern_id = $1",
        "UPDATE emerging_patterns SET fading_pattern_id = $2 WHERE fading_pattern_id = $1",
        "UPDATE network_patterns SET worded_from = $2 WHERE worded_from = $1 AND id <> $2",
        "UPDATE merged_patterns SET into_id = $2 WHERE into_id = $1",
        "INSERT INTO merged_patterns (pattern_id, into_id) VALUES ($1, $2)",
        """
        INSERT INTO withdrawn_scripts
        SELECT $2, template_hash, withdrawn_time FROM withdrawn_scripts WHERE pattern_id = $1
        ON CONFLICT DO NOTHING
        """,
    ):
        await connection.execute(statement, gone, into)
    await _move_advice(connection, gone, into)
    await connection.execute("DELETE FROM network_patterns WHERE id = $1", gone)
    await recount(connection, into, counting)


async def _join_centres(connection: Connection, gone: UUID, into: UUID) -> None:
    """The mean direction of all observations of both."""
    rows = {
        row["id"]: row
        for row in await connection.fetch(
            """
            SELECT p.id, p.pattern_embedding, p.embedding_weight, a.action_embedding, a.action_weight
              FROM network_patterns p JOIN pattern_actions a ON a.pattern_id = p.id
             WHERE p.id = ANY($1::uuid[])
            """,
            [gone, into],
        )
    }
    here, there = rows[into], rows[gone]
    sentence, sentence_weight = mean_direction(
        here["pattern_embedding"],
        here["embedding_weight"],
        to_array(there["pattern_embedding"]) * there["embedding_weight"],
    )
    action, action_weight = mean_direction(
        here["action_embedding"],
        here["action_weight"],
        to_array(there["action_embedding"]) * there["action_weight"],
    )
    await connection.execute(
        "UPDATE network_patterns SET pattern_embedding = $2, embedding_weight = $3 WHERE id = $1",
        into,
        sentence,
        sentence_weight,
    )
    await connection.execute(
        "UPDATE pattern_actions SET action_embedding = $2, action_weight = $3 WHERE pattern_id = $1",
        into,
        action,
        action_weight,
    )


async def _move_advice(connection: Connection, gone: UUID, into: UUID) -> None:
    """Questions that the one answered were answered by the other, also in the metrics."""
    categories = [
        row["business_category"]
        for row in await connection.fetch(
            "SELECT business_category FROM pattern_advice WHERE pattern_id = $1", gone
        )
    ]
    await connection.execute(
        "UPDATE enhancements SET pattern_id = $2 WHERE pattern_id = $1", gone, into
    )
    if not categories:
        return
    await connection.execute(
        """
        INSERT INTO pattern_advice (pattern_id, business_category, first_advised_time)
        SELECT $2, business_category, first_advised_time FROM pattern_advice WHERE pattern_id = $1
        ON CONFLICT DO NOTHING
        """,
        gone,
        into,
    )
    await connection.execute(
        "SELECT recount_advice($1::uuid[], $2::text[])", [into] * len(categories), categories
    )
